import { Client, Connection } from '@temporalio/client';
import { RequestError } from '../../errors.ts';
import { deployBuild, listBuilds, type Build } from '../deployment.ts';
import type { Context } from '../context.ts';
import { requireTemporalAddress } from '../system/running.ts';

export interface DeployOptions {
  buildId?: string;
  /** In percent. */
  ramp?: string;
}

/**
 * `trailmark deploy`: says which build of the workers new work goes to, and what is under way with it; all of it, or a share.
 * Without a build it only shows which there are.
 */
export async function runDeploy({ config }: Context, options: DeployOptions): Promise<void> {
  const rampPercent = readPercent(options.ramp);
  const buildId = options.buildId;
  if (buildId === undefined && rampPercent !== undefined) {
    throw new RequestError('invalid', 'build_id_missing', '--ramp needs --build-id, the build that gets the share.', {
      field: '--build-id',
    });
  }
  const connection = await Connection.connect({ address: await requireTemporalAddress(config) });
  try {
    const temporal = new Client({ connection, namespace: config.TEMPORAL_NAMESPACE });
    if (buildId !== undefined) await deployBuild(temporal, { buildId, rampPercent });
    const builds = await listBuilds(temporal);
    if (builds.length === 0) console.log('No worker runs under a build id: TRAILMARK_BUILD_ID gives it one.');
    for (const build of builds) console.log(describe(build));
  } finally {
    await connection.close();
  }
}

function describe({ buildId, status, rampPercent }: Build): string {
  return `${buildId.padEnd(24)} ${status}${rampPercent === null ? '' : ` ${rampPercent} %`}`;
}

function readPercent(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const percent = Number(given);
  if (given.trim() !== '' && percent >= 0 && percent <= 100) return percent;
  throw new RequestError('invalid', 'ramp_invalid', `--ramp is "${given}". It takes percent, 0 to 100.`, {
    field: '--ramp',
  });
}
