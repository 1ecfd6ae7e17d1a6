import type { Queryable } from '../../store/index.ts';
import { stepsOf, type StepName } from '../model/kinds.ts';
import { isEnded } from '../model/task.ts';
import { UNTAKEN } from './retry/redrive.ts';
import { RETRY_DAYS } from './retry/superseded.ts';
import type { TaskView } from '../history/task-view.ts';

/** What people can do with a task now. The validators of src/tasks/control decide; this is so that nobody is offered what they refuse. */
export interface TaskActions {
  cancel: boolean;
  approve: boolean;
  discard: boolean;
  /** The steps that it can be retried from, the one where it goes on by itself last; none where it can't be retried. */
  retryFrom: StepName[];
  redrive: boolean;
}

interface Facts {
  /** The computation may have new tasks. */
  active: boolean;
  enabled: boolean;
  /** The connection of a sync gets what is sent to it. */
  reachable: boolean;
  /** A later task of its kind is there, whatever became of it. */
  followed: boolean;
  /** What its steps left is too old, or of a definition that was changed since. */
  outdated: boolean;
  /** There are rejected rows that nobody has sent again. */
  untaken: boolean;
}

/** What can be done with this task of the workspace now, by whoever may change things in it. */
export async function readTaskActions(db: Queryable, task: TaskView): Promise<TaskActions> {
  const facts = await readFacts(db, task.id);
  const open = !isEnded(task.status);
  const awaiting = task.status === 'awaiting_approval';
  const retriable =
    (task.status === 'failed' || task.status === 'cancelled') &&
    facts.active &&
    facts.reachable &&
    !facts.followed &&
    !facts.outdated;
  return {
    cancel: open,
    approve: awaiting && facts.enabled,
    discard: awaiting,
    retryFrom: retriable ? stepsReached(task) : [],
    redrive:
      task.kind === 'sync' &&
      !open &&
      facts.active &&
      facts.reachable &&
      facts.untaken &&
      !(await hasOpenSync(db, task)),
  };
}

/** Those with a checkpoint, and the first without one: there it was when it ended. */
function stepsReached({ kind, steps }: TaskView): StepName[] {
  const completed = new Set(steps.filter((step) => step.completedAt !== null).map((step) => step.name));
  const names = stepsOf(kind).map((step) => step.name);
  return names.slice(0, names.findIndex((name) => !completed.has(name)) + 1);
}

async function readFacts(db: Queryable, taskId: string): Promise<Facts> {
  const { rows } = await db.query<Facts>(
    `select c.enabled and c.paused_at is null and c.deleted_at is null as active,
            c.enabled and c.deleted_at is null as enabled,
            t.kind = 'run' or coalesce(n.enabled and n.suspended_at is null and d.enabled and d.deleted_at is null, false)
              as reachable,
            exists (
              select from tasks later
              where later.computation_id = t.computation_id and later.kind = t.kind
                and later.connection_id is not distinct from t.connection_id
                and (later.created_at, later.id) > (t.created_at, t.id)
            ) as followed,
            exists (
              select from steps s
              where s.task_id = t.id and s.completed_at is not null
                and (s.completed_at < now() - $2 * interval '1 day'
                     or (s.name = 'pin' and (s.output ->> 'definitionVersion')::integer <> c.definition_version))
            ) as outdated,
            exists (select from rejected_rows r where r.task_id = t.id and ${UNTAKEN}) as untaken
     from tasks t
     join computations c on c.id = t.computation_id
     left join connections n on n.id = t.connection_id
     left join destinations d on d.id = n.destination_id
     where t.id = $1`,
    [taskId, RETRY_DAYS],
  );
  const facts = rows[0];
  if (facts === undefined) throw new Error(`no task ${taskId}`);
  return facts;
}

async function hasOpenSync(db: Queryable, { destination }: TaskView): Promise<boolean> {
  const { rowCount } = await db.query('select from tasks where connection_id = $1 and ended_at is null', [
    destination?.connectionId ?? null,
  ]);
  return rowCount !== 0;
}
