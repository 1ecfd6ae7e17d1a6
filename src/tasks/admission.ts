import type { Logger } from '../logger.ts';
import type { PostgresPool } from '../store/index.ts';
import type { TaskStarter } from './dispatch.ts';

export interface Admitter {
  /** Lets these tasks begin, or whichever are next, as far as the caps allow; says how many. */
  admit(taskIds?: readonly string[]): Promise<number>;
  /** Soon looks for tasks that can begin: a place has become free. */
  poke(): void;
}

/** Interim: the owner of this file writes it. */
export function createAdmitter(deps: {
  pool: PostgresPool;
  startTask: TaskStarter;
  logger: Logger;
  maxInFlight: number;
}): Admitter {
  return {
    admit: async (taskIds = []) => {
      for (const id of taskIds) await deps.startTask(id);
      return taskIds.length;
    },
    poke: () => undefined,
  };
}
