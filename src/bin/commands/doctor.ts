import { existsSync } from 'node:fs';
import { arch, platform, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { findInstalledTemporal, freeMegabytes, readSecret } from '../../embedded/index.ts';
import {
  checkClickHouse,
  checkPostgres,
  checkQuarantine,
  checkTasks,
  checkTemporal,
  type Found,
} from '../checks/checks.ts';
import type { Context } from '../context.ts';
import { nodeProblem } from '../node-version.ts';
import { findInWork, findOpenToNeighbours } from '../checks/work-findings.ts';
import { clickhouseUrlOf, databaseUrlOf, findRunningEngines } from '../system/running.ts';

/** ok: as it should be. off: not there, and need not be. note: to be known, and no fault. bad: wrong, with what mends it. */
interface Finding {
  state: 'ok' | 'off' | 'note' | 'bad';
  subject: string;
  text: string;
}

/** `trailmark doctor`: looks at everything that a start needs and has. Answers whether nothing is wrong. */
export async function runDoctor(context: Context): Promise<boolean> {
  const findings: Finding[] = [];
  for (const lookAt of [lookAtMachine, lookAtFolder, lookAtServers, lookAtApi]) {
    for (const finding of await lookAt(context)) {
      findings.push(finding);
      console.log(`${finding.state.padEnd(4)} ${finding.subject.padEnd(12)} ${finding.text}`);
    }
  }
  const wrong = findings.filter(({ state }) => state === 'bad').length;
  console.log(wrong === 0 ? '\nNothing is wrong.' : `\n${wrong} ${wrong === 1 ? 'thing is' : 'things are'} wrong.`);
  return wrong === 0;
}

async function lookAtMachine(): Promise<Finding[]> {
  const problem = nodeProblem(process.versions.node);
  const memoryMb = Math.round(totalmem() / 1024 / 1024);
  return await Promise.resolve([
    { state: problem === undefined ? 'ok' : 'bad', subject: 'Node', text: problem ?? process.versions.node },
    {
      state: memoryMb < 2_000 ? 'bad' : 'ok',
      subject: 'Machine',
      text: `${platform()} ${arch()}, ${memoryMb} MB of memory${memoryMb < 2_000 ? ': too little for three engines; set their addresses to servers elsewhere' : ''}`,
    },
  ]);
}

async function lookAtFolder({ config, env }: Context): Promise<Finding[]> {
  const folder = resolve(config.TRAILMARK_DATA);
  const embedded = [config.DATABASE_URL, config.TEMPORAL_ADDRESS, config.CLICKHOUSE_URL].includes(undefined);
  const findings: Finding[] = [];
  if (existsSync(folder)) {
    const free = await freeMegabytes(folder);
    findings.push({
      state: embedded && free < 500 ? 'bad' : 'ok',
      subject: 'Data folder',
      text: `${folder}, ${free} MB free on its disk${free < 500 ? ': free some, or set TRAILMARK_DATA to a folder on another disk' : ''}`,
    });
  } else findings.push({ state: 'off', subject: 'Data folder', text: `${folder} is made by the first start` });

  const kept = await readSecret(folder);
  findings.push(
    config.TRAILMARK_SECRET !== undefined || kept !== undefined
      ? {
          state: 'ok',
          subject: 'Secret',
          text: config.TRAILMARK_SECRET === undefined ? `in ${folder}/secret` : 'given',
        }
      : {
          state: 'off',
          subject: 'Secret',
          text: 'made by the first start; api and worker alone need TRAILMARK_SECRET',
        },
  );
  if (config.TEMPORAL_ADDRESS === undefined) {
    const cacheFolder = config.TRAILMARK_CACHE ?? join(folder, 'cache');
    const program = await findInstalledTemporal({ cacheFolder, env });
    findings.push(
      program === undefined
        ? { state: 'off', subject: 'temporal', text: 'the program is not here yet; the first start fetches it' }
        : { state: 'ok', subject: 'temporal', text: program },
    );
  }
  return findings;
}

async function lookAtServers({ config }: Context): Promise<Finding[]> {
  const running = await findRunningEngines(config);
  const { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE } = config;
  const temporalPort = running?.temporal.port;
  const temporal = TEMPORAL_ADDRESS ?? (temporalPort === undefined ? undefined : `127.0.0.1:${temporalPort}`);
  const postgres = config.DATABASE_URL ?? (running === undefined ? undefined : databaseUrlOf(running));
  const clickhouse = config.CLICKHOUSE_URL ?? (running === undefined ? undefined : clickhouseUrlOf(running));
  const findings = await Promise.all([
    look('PostgreSQL', postgres, checkPostgres),
    look('ClickHouse', clickhouse, checkClickHouse),
    look('Temporal', temporal, async (address) => await checkTemporal(address, TEMPORAL_NAMESPACE)),
  ]);
  return [
    ...findings,
    ...(postgres === undefined
      ? []
      : [
          ...(await lookInto('Tasks', 'all go on', async () => await checkTasks(postgres))),
          ...(await lookInto('Quarantine', 'no event is put aside', async () => await checkQuarantine(postgres))),
        ]),
    ...(await findInWork(config, { postgres, temporal })),
    ...findOpenToNeighbours(config, temporalPort),
  ];
}

/** What a check of the database says, nothing where PostgreSQL is not there or has no schema yet: that is said of it already. */
async function lookInto(subject: string, fine: string, check: () => Promise<string | undefined>): Promise<Finding[]> {
  try {
    const problem = await check();
    return [problem === undefined ? { state: 'ok', subject, text: fine } : { state: 'bad', subject, text: problem }];
  } catch {
    return [];
  }
}

async function look(
  subject: string,
  address: string | undefined,
  check: (address: string) => Promise<Found>,
): Promise<Finding> {
  if (address === undefined)
    return { state: 'off', subject, text: 'embedded, and not running: trailmark start runs it' };
  const where = address.replace(/^\w+:\/\/([^@/]*@)?/, '');
  try {
    const { version, problem } = await check(address);
    return problem === undefined
      ? { state: 'ok', subject, text: `${version} at ${where}` }
      : { state: 'bad', subject, text: `${version} at ${where}, but ${problem}` };
  } catch (error) {
    return { state: 'bad', subject, text: (error as Error).message };
  }
}

async function lookAtApi({ config }: Context): Promise<Finding[]> {
  const subject = 'API';
  const host = config.TRAILMARK_HOST === '0.0.0.0' ? '127.0.0.1' : config.TRAILMARK_HOST;
  const url = `http://${host}:${config.TRAILMARK_PORT}`;
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) });
    const body = (await response.json()) as { engines?: Record<string, boolean>; reasons?: unknown[] };
    if (response.ok) return [{ state: 'ok', subject, text: url }];
    const down = Object.entries(body.engines ?? {}).filter(([, up]) => !up);
    if (down.length === 0 && (body.reasons ?? []).length > 0) {
      return [{ state: 'bad', subject, text: `${url} takes nothing in: see what is said of the work above` }];
    }
    const names = down.map(([name]) => name).join(' and ') || 'its engines';
    return [{ state: 'bad', subject, text: `${url} is up but can't reach ${names}: see what is said of them above` }];
  } catch (error) {
    if ((error as { cause?: { code?: string } }).cause?.code === 'ECONNREFUSED') {
      return [{ state: 'off', subject, text: `nothing listens on ${url}: trailmark start, or trailmark api` }];
    }
    return [
      {
        state: 'bad',
        subject,
        text: `what listens on ${url} is not Trailmark: stop it, or set TRAILMARK_PORT to another port`,
      },
    ];
  }
}
