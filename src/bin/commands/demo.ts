import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { openDataFolder, StartError } from '../../embedded/index.ts';
import { createPool, type PostgresPool } from '../../store/index.ts';
import { isSettled, makeReport, type DemoReport } from '../sample/demo-report.ts';
import type { Context } from '../context.ts';
import { allowing, sampleReceivers, startSample, type RunningSample } from '../sample/sample-workspace.ts';
import { showAsLines, showAsList } from '../system/stages.ts';
import { startSystem } from '../system/system.ts';

const SETTLE_TIMEOUT_MS = 180_000;
const LOOK_EVERY_MS = 500;

/**
 * `trailmark demo`: the main job once, on embedded engines in a temporary folder and on free ports, until every task has its
 * outcome. Shows it as it happens, or with `json` prints one JSON object as its last line. Throws unless all of it is as it
 * should be, and names what is not.
 */
export async function runDemo(context: Context, options: { json: boolean }): Promise<void> {
  const { signal } = context;
  const since = Date.now();
  // With --json only the last line matters to a program; people who look on read the rest on stderr.
  const print = (line: string): void => (options.json ? console.error(line) : console.log(line));
  const show = context.terminal && !options.json ? showAsList : showAsLines(print);
  const folder = await mkdtemp(join(tmpdir(), 'trailmark-demo-'));
  await chmod(folder, 0o711);
  const data = await openDataFolder(join(folder, 'data'));
  try {
    const receivers = await sampleReceivers(data.path);
    const starting = startSystem(
      {
        // Nothing of the user's own is touched: neither servers that the environment names, nor a data folder.
        config: {
          ...context.config,
          DATABASE_URL: undefined,
          TEMPORAL_ADDRESS: undefined,
          CLICKHOUSE_URL: undefined,
          TRAILMARK_HOST: '127.0.0.1',
          TRAILMARK_PORT: 0,
          TRAILMARK_METRICS_PORT: undefined,
          TRAILMARK_CACHE: context.config.TRAILMARK_CACHE ?? join(homedir(), '.cache', 'trailmark'),
        },
        env: context.env,
        extraEnv: {
          TRAILMARK_HOST: '127.0.0.1',
          ...allowing(context.config, receivers.addresses),
          TRAILMARK_SCHEDULER_SECONDS: '1',
          TRAILMARK_BACKOFF_BASE_SECONDS: '0.5',
        },
        data,
        show,
        onNotice: print,
      },
      signal,
    );
    context.onForce(() => starting.kill());
    const system = await starting.started;
    const pool = createPool({
      connectionString: system.addresses.databaseUrl,
      applicationName: 'trailmark-demo',
      max: 4,
      onError: () => undefined,
    });
    let sample: RunningSample | null = null;
    try {
      await show([
        {
          title: 'Sample workspace',
          run: async (report) => {
            sample = await startSample({
              pool,
              dataFolder: data.path,
              ports: receivers.ports,
              apiUrl: system.apiUrl,
              onProgress: report,
            });
            return `${sample?.sent ?? 0} events sent`;
          },
        },
      ]);
      const filled = sample as RunningSample | null;
      if (filled === null) throw new StartError('The temporary folder has workspaces already.');
      await show([
        { title: 'Tasks', run: async (report) => await settle(pool, filled.access.workspaceId, signal, report) },
      ]);
      const { report, problems } = await makeReport(pool, filled, (Date.now() - since) / 1_000);
      if (options.json) console.log(JSON.stringify(report));
      else for (const line of describe(report)) print(line);
      if (problems.length > 0) {
        throw new StartError(`The demo is not as it should be.\n${problems.map((line) => `  ${line}`).join('\n')}`);
      }
    } finally {
      await (sample as RunningSample | null)?.close();
      await pool.end();
      await system.stop();
    }
  } finally {
    await data.release();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Waits until every task has its outcome, and tells of failures, recoveries and ends as they come. */
async function settle(
  pool: PostgresPool,
  workspaceId: string,
  signal: AbortSignal,
  report: (text: string) => void,
): Promise<string> {
  const deadline = Date.now() + SETTLE_TIMEOUT_MS;
  let lastId = '';
  while (!(await isSettled(pool, workspaceId))) {
    if (Date.now() > deadline) throw new StartError(`Not every task had an outcome in ${SETTLE_TIMEOUT_MS / 1_000} s.`);
    signal.throwIfAborted();
    await wait(LOOK_EVERY_MS, undefined, { signal });
    lastId = await tellEvents(pool, workspaceId, lastId, report);
  }
  await tellEvents(pool, workspaceId, lastId, report);
  return 'every task has its outcome';
}

/** What of an audit event's details is told. */
interface EventDetails {
  attempt?: number;
  maxAttempts?: number;
  members?: number;
  message?: string;
}

async function tellEvents(
  pool: PostgresPool,
  workspaceId: string,
  afterId: string,
  report: (text: string) => void,
): Promise<string> {
  const { rows } = await pool.query<{
    id: string;
    type: string;
    resource_name: string;
    details: EventDetails;
  }>(
    `select id, type, resource_name, details from audit_events
     where workspace_id = $1 and task_id is not null and id > $2 order by id`,
    [workspaceId, afterId],
  );
  for (const { type, resource_name: name, details } of rows) {
    const attempt = details.maxAttempts === undefined ? '' : `, attempt ${details.attempt} of ${details.maxAttempts}`;
    const members = details.members === undefined ? '' : `, ${details.members} members`;
    const message = details.message === undefined ? '' : `: ${details.message}`;
    report(`${type}: ${name}${attempt}${members}${message}`);
  }
  return rows.at(-1)?.id ?? afterId;
}

function describe(report: DemoReport): string[] {
  const { tasks, failures, alerts } = report;
  return [
    '',
    ...report.computations.map(
      ({ key, kind, members, status }) =>
        `  ${(kind === 'audience' ? 'audience' : 'trait').padEnd(9)}${key.padEnd(20)}${String(members ?? '-').padStart(6)}  ${status}`,
    ),
    '',
    `  events      ${report.events}, delivered changes ${report.delivered}`,
    `  tasks       ${tasks.succeeded} succeeded (${tasks.recovered} of them after a failure), ${tasks.hardFailed} failed hard`,
    `  failures    ${failures.transient} transient, ${failures.hard} hard; audit events ${report.auditEvents}`,
    `  alerts      ${Object.entries(alerts)
      .map(([decision, count]) => `${count} ${decision}`)
      .join(', ')}`,
    ...report.receivers.map(
      ({ requests, messages, distinctMessages }, index) =>
        `  receiver ${index + 1}  ${requests} requests, ${messages} messages taken, ${distinctMessages} distinct`,
    ),
    '',
    report.ok ? `All of it is as it should be, after ${report.seconds} s.` : 'Not all of it is as it should be.',
  ];
}
