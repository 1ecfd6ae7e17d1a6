import type { DestinationDeps } from '../../destinations/index.ts';
import type { Logger } from '../../logger.ts';
import type { ClickHouseClient, PostgresPool, Transaction } from '../../store/index.ts';
import type { StepName } from '../model/kinds.ts';
import type { Backoff } from '../model/retry-policy.ts';
import type { StepOutputs, TaskRow } from '../model/task.ts';

/** What executing tasks needs: the stores, the way to destinations, and the retry policy's numbers. */
export interface TaskDeps {
  pool: PostgresPool;
  clickhouse: ClickHouseClient;
  destinations: DestinationDeps;
  logger: Logger;
  backoff: Backoff;
  /** How long a run waits for events that came in before it to be loaded, in milliseconds; a minute where it is not given. */
  waitForEventsMs?: number | undefined;
}

/**
 * A step that touches PostgreSQL only. `dispatch` names tasks it has made, to be started once it is committed; `afterEnd` makes
 * some after the task has ended, still in the step's transaction. `held`: the step has no checkpoint, and nothing after it is
 * executed, until a person has answered.
 */
export type TransactionStep = (
  tx: Transaction,
  task: TaskRow,
) => Promise<
  | {
      output: StepOutputs[StepName];
      dispatch?: readonly string[];
      afterEnd?: () => Promise<readonly string[]>;
    }
  | 'held'
>;

export interface ActivityStepContext {
  deps: TaskDeps;
  task: TaskRow;
  /** How far inside the step an earlier execution came; null where none did, or none of it is written down. */
  cursor: unknown;
  /** Which execution of the step by this task it is, from 1. */
  execution: number;
  /** Aborted when the attempt is given up: it reaches the query and the HTTP request. */
  signal: AbortSignal;
  /** How long this execution of the step may take, in milliseconds: its queries end before that. */
  timeoutMs: number;
  /** Tells people how far it is, in rows. */
  progress: (done: number, total: number) => void;
  /** Whether somebody waits for its slot whose workspace has fewer. */
  isWanted: () => boolean;
}

/** A long step. What it leaves in ClickHouse or at a destination is keyed; `effect` is its part in PostgreSQL. */
export type ActivityStep = (
  context: ActivityStepContext,
) => Promise<{ output: StepOutputs[StepName]; effect?: (tx: Transaction) => Promise<void> }>;
