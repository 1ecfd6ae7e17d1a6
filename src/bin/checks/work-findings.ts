import type { Config } from '../../config.ts';
import { checkWork } from '../../health/index.ts';
import { createPool } from '../../store/index.ts';

/** A line of doctor's about the work. */
export interface WorkLine {
  state: 'ok' | 'off' | 'note' | 'bad';
  subject: string;
  text: string;
}

/** Whether the work goes on, which no port says: what /readyz looks at, with what only operators may read. */
export async function findInWork(
  config: Config,
  addresses: { postgres: string | undefined; temporal: string | undefined },
): Promise<WorkLine[]> {
  const subject = 'Work';
  if (addresses.postgres === undefined) return [{ state: 'off', subject, text: 'there is no database to ask' }];
  const pool = createPool({
    connectionString: addresses.postgres,
    applicationName: 'trailmark-doctor',
    max: 1,
    onError: () => undefined,
  });
  // Its client is large: only doctor loads it here.
  const { Client, Connection } = await import('@temporalio/client');
  const connection = addresses.temporal === undefined ? undefined : Connection.lazy({ address: addresses.temporal });
  try {
    const findings = await checkWork({
      pool,
      temporal: connection === undefined ? undefined : new Client({ connection, namespace: config.TEMPORAL_NAMESPACE }),
      afterSeconds: config.TRAILMARK_HEALTH_AFTER_SECONDS,
    });
    // What Tasks says already.
    const told = findings.filter(({ code }) => code !== 'bookkeeping_refused');
    if (told.length === 0)
      return [{ state: 'ok', subject, text: 'workers poll, the scheduler ticks, nothing is late' }];
    return told.map(({ code, severity, message, remedy, detail }) => ({
      state: severity === 'notice' ? 'note' : 'bad',
      subject,
      text: `${message} ${remedy} (${[code, detail].filter((part) => part !== undefined && part !== '').join(': ')})`,
    }));
  } finally {
    await connection?.close();
    await pool.end();
  }
}

/** What the embedded engines leave open to other users of this machine. */
export function findOpenToNeighbours(config: Config, temporalPort: number | undefined): WorkLine[] {
  if (config.TEMPORAL_ADDRESS !== undefined || temporalPort === undefined) return [];
  const pages = config.TRAILMARK_TEMPORAL_UI ? ', and so do its pages' : '';
  return [
    {
      state: 'note',
      subject: 'Neighbours',
      text: `the embedded Temporal (127.0.0.1:${temporalPort}) asks nobody who they are${pages}: every user of this machine can start, end and read workflows. Where others have accounts here, set TEMPORAL_ADDRESS to a server with mTLS: docs/operations.md, "What other users of the machine can do"`,
    },
  ];
}
