import { recordAuditEvents, SYSTEM_ACTOR, type AuditEventInput } from '../../audit/index.ts';
import {
  KIND_NAMES,
  takeDueComputations,
  type DueComputation,
  type TakenComputations,
} from '../../computations/index.ts';
import type { Logger } from '../../logger.ts';
import { inTransaction, type PostgresPool, type Transaction } from '../../store/index.ts';
import type { Admitter } from './admission.ts';
import { createTasks } from './create-task.ts';

const DUE_BATCH = 200;

/**
 * One tick: writes a run for every computation that is due, lets those tasks begin whose turn has come, and starts their
 * workflows, also of earlier ones that could not be started. What is due is taken in batches, each a transaction of its own.
 * Throws what PostgreSQL threw: the next tick goes on.
 */
export async function scheduleDueTasks(
  pool: PostgresPool,
  admitter: Pick<Admitter, 'admit'>,
  logger: Logger,
): Promise<{ created: number; started: number }> {
  let created = 0;
  for (;;) {
    const batch = await inTransaction(pool, async (tx) => await writeDueTasks(tx));
    created += batch.created;
    for (const { id, error } of batch.unscheduled) {
      logger.error({ computationId: id, err: error }, 'a schedule can not be followed: the computation does not run');
    }
    if (!batch.more) break;
  }
  return { created, started: await admitter.admit() };
}

async function writeDueTasks(
  tx: Transaction,
): Promise<{ created: number } & Pick<TakenComputations, 'unscheduled' | 'more'>> {
  const { due, unscheduled, more } = await takeDueComputations(tx, DUE_BATCH);
  const ids = await createTasks(
    tx,
    due.map((computation) => ({
      workspaceId: computation.workspaceId,
      spaceId: computation.spaceId,
      computationId: computation.id,
      kind: 'run',
      reason: computation.reason,
      slotAt: computation.slotAt,
      lateMs: computation.lateMs,
      missedSlots: computation.missedSlots,
    })),
  );
  const written = due.flatMap((computation, index) => {
    const taskId = ids[index];
    return typeof taskId === 'string' ? [{ taskId, computation }] : [];
  });
  await recordAuditEvents(
    tx,
    written.filter(({ computation }) => computation.missed).map(({ taskId, computation }) => late(taskId, computation)),
  );
  return { created: written.length, unscheduled, more };
}

function late(taskId: string, computation: DueComputation): AuditEventInput {
  return {
    workspaceId: computation.workspaceId,
    spaceId: computation.spaceId,
    type: `${KIND_NAMES[computation.kind]} Run Late`,
    actor: SYSTEM_ACTOR,
    resource: { type: computation.kind, id: computation.id, name: computation.name },
    taskId,
    details: {
      slotAt: computation.slotAt,
      lateMs: computation.lateMs,
      missedSlots: computation.missedSlots,
    },
  };
}
