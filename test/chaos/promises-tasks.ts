import { touchedSteps } from './gate.ts';
import { extractOf, tasksByExtract } from './extracts.ts';
import { result, type Evidence, type PromiseResult } from './evidence.ts';

interface TaskRow {
  id: string;
  kind: string;
  status: string;
  attempt: number;
  max_attempts: number;
  ended: boolean;
  outcomes: (string | null)[];
  numbers: number[];
  classes: (string | null)[];
}

async function readTasks({ pool }: Evidence): Promise<TaskRow[]> {
  const { rows } = await pool.query<TaskRow>(
    `select t.id, t.kind, t.status, t.attempt, t.max_attempts, t.ended_at is not null as ended,
            coalesce(array_agg(a.outcome order by a.attempt) filter (where a.task_id is not null), '{}') as outcomes,
            coalesce(array_agg(a.attempt order by a.attempt) filter (where a.task_id is not null), '{}') as numbers,
            coalesce(array_agg(a.failure_class order by a.attempt) filter (where a.task_id is not null), '{}') as classes
     from tasks t left join attempts a on a.task_id = t.id
     group by t.id order by t.id`,
  );
  return rows;
}

/** Every task has one outcome, in its row, its attempts and the trail, and no workflow is left over. */
export async function checkOutcomes(evidence: Evidence): Promise<PromiseResult> {
  const tasks = await readTasks(evidence);
  const events = await countEvents(evidence);
  const broken = evidence.openWorkflows.map((id) => `workflow ${id} is open`);
  for (const task of tasks) {
    const wrong = (what: string): void => void broken.push(`${task.kind} ${task.id} (${task.status}): ${what}`);
    const last = task.outcomes.at(-1) ?? null;
    const earlier = task.outcomes.slice(0, -1);
    if (!task.ended) wrong('has no outcome');
    if (earlier.some((outcome) => outcome !== 'failed')) wrong(`attempts ended ${task.outcomes.join(', ')}`);
    if (task.status === 'succeeded' && last !== 'succeeded') wrong(`its last attempt ended ${last}`);
    if (task.status === 'failed' && (last !== 'failed' || task.classes.at(-1) !== 'hard')) {
      wrong(`its last attempt ended ${last}, ${task.classes.at(-1)}`);
    }
    // A task that was cancelled while it waited for its next attempt has a failed one at its end.
    if (task.status === 'cancelled' && last === 'succeeded') wrong(`its last attempt ended ${last}`);
    const told = (pattern: string): number => events.get(`${task.id} ${pattern}`) ?? 0;
    const expected = { Complete: 0, 'Hard Failure': 0, Cancelled: 0 };
    if (task.status === 'failed') expected['Hard Failure'] = 1;
    if (task.status === 'cancelled') expected.Cancelled = 1;
    if (task.status === 'succeeded' && task.kind === 'run') expected.Complete = 1;
    for (const [pattern, count] of Object.entries(expected)) {
      if (told(pattern) !== count) wrong(`${told(pattern)} events "… ${pattern}" instead of ${count}`);
    }
  }
  return result(
    'every task has one outcome',
    tasks.length,
    broken,
    countBy(tasks, ({ status }) => status),
  );
}

/** No task has more than six attempts, and they are numbered from 1 without a gap. */
export async function checkAttempts(evidence: Evidence): Promise<PromiseResult> {
  const tasks = await readTasks(evidence);
  const broken = tasks.flatMap(({ id, numbers, attempt, max_attempts: most }) => {
    const inOrder = numbers.every((number, index) => number === index + 1);
    return inOrder && numbers.length === attempt && attempt <= most && attempt <= 6
      ? []
      : [`${id}: attempts ${numbers.join(', ')}, the task says ${attempt} of ${most}`];
  });
  return result(
    'no task has more than six attempts',
    tasks.reduce((sum, { numbers }) => sum + numbers.length, 0),
    broken,
    { most: Math.max(0, ...tasks.map(({ attempt }) => attempt)) },
  );
}

/** Each failure is in the trail exactly once; so is each hard failure, and each recovery. */
export async function checkTrail(evidence: Evidence): Promise<PromiseResult> {
  const { rows } = await evidence.pool.query<{ told: string; subject: string; times: number; failed: number }>(
    `with events as (
       select task_id, attempt,
              case when type like '% Hard Failure' then 'Hard Failure'
                   when type like '% Recovered' then 'Recovered' else 'Failed' end as told
       from audit_events
       where task_id is not null and (type like '% Failed' or type like '% Hard Failure' or type like '% Recovered')
     ), expected as (
       select task_id, attempt, 'Failed' as told from attempts where outcome = 'failed'
       union all select id, attempt, 'Hard Failure' from tasks where status = 'failed'
       union all select id, attempt, 'Recovered' from tasks where status = 'succeeded' and attempt > 1
     ), counted as (
       select task_id, attempt, told, count(*) filter (where source = 'event') as times,
              count(*) filter (where source = 'expected') as expected
       from (select *, 'event' as source from events union all select *, 'expected' from expected) as them
       group by task_id, attempt, told
     )
     select told, task_id || ' attempt ' || attempt as subject, times, expected as failed from counted`,
  );
  const broken = rows
    .filter(({ times, failed }) => times !== 1 || failed !== 1)
    .map(
      ({ told, subject, times, failed }) => `${subject}: ${times} events "… ${told}" where there should be ${failed}`,
    );
  return result(
    'each failure is in the trail exactly once',
    rows.length,
    broken,
    countBy(rows, ({ told }) => told),
  );
}

/** No step that had its checkpoint was executed, or changed, again. */
export async function checkSteps({ pool, world }: Evidence): Promise<PromiseResult> {
  const broken = (await touchedSteps(pool)).map(
    ({ taskId, step, change }) => `${step} of ${taskId} was changed after its checkpoint: ${change}`,
  );
  const { rows } = await pool.query<{
    task_id: string;
    step: string;
    completed_at: Date | null;
    executions: number;
    rows: number;
    numbered: boolean;
    completions: number;
    later: number;
    carried: boolean;
  }>(
    `select s.task_id, s.name as step, s.completed_at, s.executions, count(e.task_id) as rows,
            count(e.task_id) = coalesce(max(e.execution), 0) as numbered,
            count(*) filter (where e.outcome = 'completed') as completions,
            count(*) filter (where e.started_at > s.completed_at) as later,
            t.reason = 'retry' and s.completed_at < t.created_at as carried
     from steps s join tasks t on t.id = s.task_id
     left join step_executions e on e.task_id = s.task_id and e.step = s.name
     group by s.task_id, s.name, t.id`,
  );
  for (const row of rows) {
    const wrong = (what: string): void => void broken.push(`${row.step} of ${row.task_id}: ${what}`);
    if (row.later > 0) wrong(`${row.later} executions began after its checkpoint`);
    if (row.rows !== row.executions || !row.numbered) wrong(`${row.executions} executions, ${row.rows} of them kept`);
    // What a retried task takes over it never executed itself.
    const own = row.completed_at !== null && !row.carried;
    if (row.completions !== (own ? 1 : 0)) wrong(`${row.completions} executions completed it`);
  }
  // What the receivers saw, whatever was written down: nothing of an extract comes in once its delivery has its checkpoint.
  const tasks = await tasksByExtract(pool);
  let messages = 0;
  for (const { takings } of world.receivers) {
    for (const { messageId, takenAt } of takings) {
      messages += 1;
      const of = tasks.get(extractOf(messageId));
      if (of === undefined) broken.push(`message ${messageId} is of no task`);
      else if (of.every(({ deliveredAt }) => deliveredAt !== null && takenAt > deliveredAt.getTime() + 1)) {
        broken.push(`message ${messageId} came in after deliver had its checkpoint`);
      }
    }
  }
  const executions = rows.reduce((sum, row) => sum + row.executions, 0);
  return result('no step with a checkpoint is executed again', rows.length, broken, { executions, messages });
}

/** Every alert is decided: none is held once its task has ended, and every hard failure has one that was sent. */
export async function checkAlerts({ pool, world }: Evidence): Promise<PromiseResult> {
  const { rows } = await pool.query<{
    id: string;
    workspace_id: string;
    kind: string;
    decision: string;
    status: string | null;
    released: boolean;
  }>(
    `select a.id, a.workspace_id, a.kind, a.decision, t.status,
            exists (select from alerts r where r.task_id = a.task_id and r.decision = 'released') as released
     from alerts a left join tasks t on t.id = a.task_id`,
  );
  const reduced = new Set(world.workspaces.filter((one) => one.reduced).map(({ id }) => id));
  const broken: string[] = [];
  for (const alert of rows) {
    const wrong = (what: string): void => void broken.push(`alert ${alert.id} (${alert.kind}): ${what}`);
    const ended = alert.status !== null && ['succeeded', 'failed', 'cancelled'].includes(alert.status);
    if (alert.decision === 'held' && ended) wrong(`is held, and its task ${alert.status}`);
    if (alert.kind !== 'transient_failure' && alert.decision !== 'sent') wrong(`was ${alert.decision} and not sent`);
    if (alert.kind !== 'transient_failure' || alert.released) continue;
    const expected = !reduced.has(alert.workspace_id) ? 'sent' : alert.status === 'cancelled' ? 'suppressed' : 'folded';
    if (ended && alert.decision !== expected) wrong(`was ${alert.decision} and not ${expected}; task ${alert.status}`);
  }
  const silent = await pool.query<{ id: string; type: string; task_id: string }>(
    `select e.id, e.type, e.task_id from audit_events e
     where e.task_id is not null and (
       (e.type like '% Hard Failure' and not exists (
         select from alerts a where a.audit_event_id = e.id and a.kind = 'hard_failure' and a.decision = 'sent'
       )) or (e.type like '% Failed' and not exists (
         select from alerts a where a.task_id = e.task_id and (a.audit_event_id = e.id or a.kind = 'hard_failure')
       ))
     )`,
  );
  for (const event of silent.rows) broken.push(`${event.type} ${event.id} of ${event.task_id} has no alert`);
  return result(
    'every alert is decided, and every hard failure sent',
    rows.length,
    broken,
    countBy(rows, ({ kind, decision }) => `${kind} ${decision}`),
  );
}

/** How often each task has an event whose type ends with a word: keys are `task id word`. */
async function countEvents({ pool }: Evidence): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ key: string; times: number }>(
    `select task_id || ' ' || word as key, count(*) as times
     from audit_events cross join (values ('Complete'), ('Hard Failure'), ('Cancelled')) as words (word)
     where task_id is not null and type like '% ' || word group by key`,
  );
  return new Map(rows.map(({ key, times }) => [key, times]));
}

function countBy<Row>(rows: readonly Row[], keyOf: (row: Row) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const row of rows) counts[keyOf(row)] = (counts[keyOf(row)] ?? 0) + 1;
  return counts;
}
