import { RequestError } from '../../../errors.ts';
import type { Queryable } from '../../../store/index.ts';
import type { StepName } from '../../model/kinds.ts';
import type { TaskRow } from '../../model/task.ts';
import { outputOf } from '../../model/task.ts';

/**
 * What a failed or cancelled task computed or froze can be gone on with for so many days; dropUnusedVersions keeps it for a day
 * more.
 */
export const RETRY_DAYS = 7;

/**
 * Refuses to retry a task that something newer has taken the place of: what its steps left would take back what is there now.
 * Throws RequestError `retry_superseded`, which says what it is and to run it now instead.
 */
export async function refuseSuperseded(db: Queryable, task: TaskRow, carried: readonly StepName[]): Promise<void> {
  const why =
    (await carriedTooOld(db, task, carried)) ??
    (task.kind === 'run' ? await runSuperseded(db, task, carried) : await syncSuperseded(db, task));
  if (why === null) return;
  throw new RequestError(
    'conflict',
    'retry_superseded',
    `${why.sentence} Run ${task.computation_name} now instead: it computes what is true now, and sends the difference.`,
    { field: 'taskId', data: why.data },
  );
}

interface Superseded {
  sentence: string;
  data: Record<string, unknown>;
}

async function carriedTooOld(db: Queryable, task: TaskRow, carried: readonly StepName[]): Promise<Superseded | null> {
  const { rows } = await db.query<{ name: string }>(
    `select name from steps
     where task_id = $1 and name = any($2) and completed_at < now() - $3 * interval '1 day' order by position limit 1`,
    [task.id, carried, RETRY_DAYS],
  );
  const oldest = rows[0];
  if (oldest === undefined) return null;
  return {
    sentence: `What ${task.id} did in its step ${oldest.name} is older than ${RETRY_DAYS} days.`,
    data: { because: 'too_old', step: oldest.name },
  };
}

async function runSuperseded(db: Queryable, task: TaskRow, carried: readonly StepName[]): Promise<Superseded | null> {
  const { rows } = await db.query<{ live_version: number | null; definition_version: number; later: string | null }>(
    `select c.live_version, c.definition_version,
            (select later.id from tasks later
             where later.computation_id = c.id and later.kind = 'run' and later.status = 'succeeded'
               and later.created_at > t.created_at
             order by later.created_at desc limit 1) as later
     from tasks t join computations c on c.id = t.computation_id
     where t.id = $1`,
    [task.id],
  );
  const now = rows[0];
  if (now === undefined) throw new Error(`the computation of ${task.id} is not there`);
  if (now.later !== null) {
    return {
      sentence: `The run ${now.later} has succeeded since.`,
      data: { because: 'later_run', laterTaskId: now.later },
    };
  }
  if (!carried.includes('pin')) return null;
  const pinned = outputOf(task, 'pin');
  if (pinned.definitionVersion !== now.definition_version) {
    return {
      sentence: `The definition was changed since ${task.id} began: it computed version ${pinned.definitionVersion}, and ${now.definition_version} is current.`,
      data: { because: 'definition', definitionVersion: now.definition_version },
    };
  }
  const expected = carried.includes('commit') ? outputOf(task, 'commit').version : pinned.liveVersion;
  if (now.live_version === expected) return null;
  return {
    sentence: `Another version has gone live since ${task.id} began.`,
    data: { because: 'live_version', liveVersion: now.live_version },
  };
}

/** A later sync that has begun to deliver moves the baseline, whatever became of it. */
async function syncSuperseded(db: Queryable, task: TaskRow): Promise<Superseded | null> {
  const { rows } = await db.query<{ id: string; status: string }>(
    `select later.id, later.status
     from tasks t join tasks later on later.connection_id = t.connection_id
     join steps delivery on delivery.task_id = later.id and delivery.name = 'deliver' and delivery.started_at is not null
     where t.id = $1 and (later.created_at, later.id) > (t.created_at, t.id)
     order by later.created_at desc, later.id desc limit 1`,
    [task.id],
  );
  const later = rows[0];
  if (later === undefined) return null;
  return {
    sentence: `The sync ${later.id} has sent to the destination since (${later.status}).`,
    data: { because: 'later_sync', laterTaskId: later.id },
  };
}
