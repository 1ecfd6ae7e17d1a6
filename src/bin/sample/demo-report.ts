import { alertCounts } from '../../alerts/index.ts';
import { computationStatus, listWorkspaceComputations } from '../../computations/index.ts';
import { expectedSizes, makeShop, SAMPLE_COMPUTATIONS, type ReceiverCounts } from '../../sample/index.ts';
import type { PostgresPool } from '../../store/index.ts';
import { SAMPLE_SEED, type RunningSample } from './sample-workspace.ts';

/** What the demo prints as its last line. */
export interface DemoReport {
  ok: boolean;
  seconds: number;
  events: number;
  computations: { key: string; kind: string; members: number | null; status: string }[];
  tasks: { succeeded: number; recovered: number; hardFailed: number };
  failures: { transient: number; hard: number };
  auditEvents: number;
  alerts: Record<'sent' | 'held' | 'folded' | 'released' | 'suppressed', number>;
  delivered: number;
  receivers: ReceiverCounts[];
}

/** Whether every computation has run, its syncs were made, and no task is open any more. */
export async function isSettled(pool: PostgresPool, workspaceId: string): Promise<boolean> {
  const { rows } = await pool.query<{ open: number; runs: number; syncs: number; connections: number }>(
    `select count(*) filter (where ended_at is null) as open,
            count(distinct computation_id) filter (where kind = 'run') as runs,
            count(distinct connection_id) filter (where kind = 'sync') as syncs,
            (select count(*) from connections n join computations c on c.id = n.computation_id
             where c.workspace_id = $1) as connections
     from tasks where workspace_id = $1`,
    [workspaceId],
  );
  const row = rows[0];
  return (
    row !== undefined && row.open === 0 && row.runs === SAMPLE_COMPUTATIONS.length && row.syncs === row.connections
  );
}

/** Gathers the report and what in it is not as it should be; the report is `ok` where that is nothing. */
export async function makeReport(
  pool: PostgresPool,
  sample: RunningSample,
  seconds: number,
): Promise<{ report: DemoReport; problems: string[] }> {
  const { workspaceId } = sample.access;
  const computations = await listWorkspaceComputations(pool, { workspaceId, limit: 100 });
  const counts = await readCounts(pool, workspaceId);
  const report: DemoReport = {
    ok: true,
    seconds: Math.round(seconds * 10) / 10,
    events: counts.events,
    computations: computations.map((row) => ({
      key: row.key,
      kind: row.kind,
      members: row.live_size,
      status: computationStatus(row),
    })),
    tasks: { succeeded: counts.succeeded, recovered: counts.recovered, hardFailed: counts.hard_failed },
    failures: { transient: counts.transient, hard: counts.hard },
    auditEvents: counts.audit_events,
    alerts: await alertCounts(pool, workspaceId),
    delivered: counts.delivered,
    receivers: [sample.shaky.counts(), sample.rejecting.counts()],
  };
  const problems = checkReport(report, counts, sample);
  return { report: { ...report, ok: problems.length === 0 }, problems };
}

interface Counts {
  events: number;
  succeeded: number;
  recovered: number;
  hard_failed: number;
  transient: number;
  hard: number;
  failure_events: number;
  hard_failure_events: number;
  recovery_events: number;
  hard_alerts: number;
  audit_events: number;
  delivered: number;
}

async function readCounts(pool: PostgresPool, workspaceId: string): Promise<Counts> {
  const { rows } = await pool.query<Counts>(
    `select
       (select count(*) from event_log where workspace_id = $1) as events,
       count(*) filter (where status = 'succeeded') as succeeded,
       count(*) filter (where status = 'succeeded' and attempt > 1) as recovered,
       count(*) filter (where status = 'failed') as hard_failed,
       coalesce(sum((result ->> 'delivered')::int) filter (where kind = 'sync' and status = 'succeeded'), 0)::int as delivered,
       (select count(*) from attempts a join tasks t on t.id = a.task_id
        where t.workspace_id = $1 and a.failure_class = 'transient') as transient,
       (select count(*) from attempts a join tasks t on t.id = a.task_id
        where t.workspace_id = $1 and a.failure_class = 'hard') as hard,
       (select count(*) from audit_events where workspace_id = $1 and type like '% Failed' and task_id is not null)
         as failure_events,
       (select count(*) from audit_events where workspace_id = $1 and type like '% Hard Failure') as hard_failure_events,
       (select count(*) from audit_events where workspace_id = $1 and type like '% Recovered') as recovery_events,
       (select count(*) from alerts where workspace_id = $1 and kind = 'hard_failure' and decision = 'sent') as hard_alerts,
       (select count(*) from audit_events where workspace_id = $1) as audit_events
     from tasks where workspace_id = $1`,
    [workspaceId],
  );
  const row = rows[0];
  if (row === undefined) throw new Error('the counts gave no row');
  return row;
}

/** Everything that has to hold of the demo, each with the two sides of it. */
function checkReport(report: DemoReport, counts: Counts, sample: RunningSample): string[] {
  const messages = makeShop(SAMPLE_SEED, sample.shopEndsAt);
  const sizes = expectedSizes(messages, sample.shopEndsAt);
  const members = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const connections = SAMPLE_COMPUTATIONS.length;
  const rejecting = SAMPLE_COMPUTATIONS.filter((computation) => computation.toRejecting === true).length;
  const [shaky, rejected] = report.receivers;
  const checks: [what: string, found: unknown, expected: unknown][] = [
    ['events in the log', report.events, messages.length],
    ['computations', report.computations.length, SAMPLE_COMPUTATIONS.length],
    ...report.computations.map(({ key, members: found }): [string, unknown, unknown] => [
      `members of ${key}`,
      found,
      sizes.get(key),
    ]),
    ...report.computations.map(({ key, status }): [string, unknown, unknown] => [
      `status of ${key}`,
      status,
      SAMPLE_COMPUTATIONS.find((computation) => computation.key === key)?.toRejecting === true
        ? 'Awaiting Destinations'
        : 'Live',
    ]),
    ['tasks that succeeded', report.tasks.succeeded, SAMPLE_COMPUTATIONS.length + connections],
    ['tasks that failed hard', report.tasks.hardFailed, rejecting],
    ['some tasks recovered', report.tasks.recovered > 0, true],
    ['failed attempts in the trail', counts.failure_events, report.failures.transient + report.failures.hard],
    ['hard failures in the trail', counts.hard_failure_events, report.failures.hard],
    ['hard failures of tasks', report.failures.hard, rejecting],
    ['recoveries in the trail', counts.recovery_events, report.tasks.recovered],
    ['alerts of hard failures', counts.hard_alerts, report.failures.hard],
    ['alerts still held', report.alerts.held, 0],
    ['alerts folded into recoveries', report.alerts.folded, report.failures.transient],
    ['changes delivered', report.delivered, members],
    [
      'distinct messages at the shaky receiver (a track and an identify a change)',
      shaky?.distinctMessages,
      members * 2,
    ],
    ['messages at the shaky receiver that came twice', (shaky?.messages ?? 0) - (shaky?.distinctMessages ?? 0), 0],
    ['messages that the rejecting receiver took', rejected?.messages, 0],
    ['requests at the rejecting receiver', (rejected?.requests ?? 0) > 0, true],
  ];
  return checks
    .filter(([, found, expected]) => found !== expected)
    .map(([what, found, expected]) => `${what}: ${String(found)}, and it should be ${String(expected)}`);
}
