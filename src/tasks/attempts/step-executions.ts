import type { Queryable } from '../../store/index.ts';
import type { StepName, WantedStep } from '../model/kinds.ts';
import type { StepOutputs } from '../model/task.ts';

/** Rows (profiles) that an execution of a step took, gave and had refused; null where the step does not count them. */
export interface RowCounts {
  in: number | null;
  out: number | null;
  rejected: number | null;
}

const NOT_COUNTED: RowCounts = { in: null, out: null, rejected: null };

/** What a step's output says of rows, for the history of its task. `deliver` counts batch by batch: see settleBatch. */
export function rowsOf<S extends StepName>(
  step: S,
  output: StepOutputs[S],
  outputs: Partial<StepOutputs>,
): RowCounts | null {
  const all: Partial<StepOutputs> = { ...outputs, [step]: output };
  switch (step) {
    case 'compute':
      return { ...NOT_COUNTED, out: all.compute?.size ?? null };
    case 'diff': {
      const { diff } = all;
      return {
        ...NOT_COUNTED,
        in: all.compute?.size ?? null,
        out: diff === undefined ? null : diff.entered + diff.exited + diff.changed,
      };
    }
    case 'commit':
      return { ...NOT_COUNTED, in: all.compute?.size ?? null, out: all.commit?.members ?? null };
    case 'extract':
      return { ...NOT_COUNTED, out: all.extract?.changes ?? null };
    case 'reconcile': {
      const { reconcile } = all;
      return {
        in: reconcile?.changes ?? null,
        out: reconcile?.delivered ?? null,
        rejected: reconcile?.rejected ?? null,
      };
    }
    default:
      return null;
  }
}

/**
 * Ends the executions of the task's steps that are open, of all or of one attempt or step, and says how. Called by whoever ends
 * them: a worker that died left that to the one after it.
 */
export async function endExecutions(
  db: Queryable,
  taskId: string,
  end: {
    outcome: 'failed' | 'interrupted';
    code?: string;
    attempt?: number;
    losses?: number | undefined;
    step?: string;
  },
): Promise<void> {
  await db.query(
    `update step_executions set ended_at = clock_timestamp(), outcome = $2, code = $3
     where task_id = $1 and ended_at is null and attempt = coalesce($4, attempt) and step = coalesce($5, step)
       and ($6::integer is null or exists (select from tasks where id = $1 and losses = $6))`,
    [taskId, end.outcome, end.code ?? null, end.attempt ?? null, end.step ?? null, end.losses ?? null],
  );
}

/**
 * Notes that a long step was interrupted, not by a failure: by a stop of its worker, a wait, or a person. An execution that was
 * given up hears of that while the step is executed again: the one that goes on is not touched.
 */
export async function interruptStep(db: Queryable, { taskId, ...of }: WantedStep): Promise<void> {
  await endExecutions(db, taskId, { outcome: 'interrupted', ...of });
}
