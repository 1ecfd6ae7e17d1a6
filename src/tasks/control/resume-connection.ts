import { clearSuspension } from '../../connections/index.ts';
import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import { KIND_NAMES, type ComputationAddress } from '../../computations/index.ts';
import { RequestError } from '../../errors.ts';
import type { Transaction } from '../../store/index.ts';
import { createTask } from '../scheduling/create-task.ts';
import { findControlled } from './requirements.ts';

interface SuspendedRow {
  id: string;
  destination_name: string;
  suspended_at: Date | null;
  suspended_reason: string | null;
  hard_failures: number;
  switched_on: boolean;
  behind: boolean;
  resync: boolean;
}

/**
 * Lets syncs of a suspended connection go out again, with no hard failure counted. Returns the sync that catches up, to be
 * started; null where the destination is not behind, or nothing is sent to it for another reason. Throws RequestError
 * `not_suspended`, `connection_not_found` or `computation_not_found`.
 */
export async function resumeConnection(
  tx: Transaction,
  address: ComputationAddress & { destinationId: string },
  actor: Actor,
): Promise<string | null> {
  const computation = await findControlled(tx, address);
  const found = await tx.query<SuspendedRow>(
    `select n.id, d.name as destination_name, n.suspended_at, n.suspended_reason, n.hard_failures,
            d.enabled as switched_on, n.resync_requested_at is not null as resync,
            c.live_version is not null and (n.synced_version is null or n.synced_version < c.live_version) as behind
     from connections n join destinations d on d.id = n.destination_id join computations c on c.id = n.computation_id
     where n.computation_id = $1 and n.destination_id = $2 and n.enabled and d.deleted_at is null`,
    [computation.id, address.destinationId],
  );
  const connection = found.rows[0];
  if (connection === undefined) {
    throw new RequestError('not_found', 'connection_not_found', 'They are not connected.', { field: 'destinationId' });
  }
  // The sync before the connection, as a sync's own steps do it: the other way round, both could wait for ever.
  const due = computation.live_version !== null && (connection.behind || connection.resync);
  const taskId =
    connection.suspended_at !== null && due && computation.enabled && connection.switched_on
      ? await createTask(tx, {
          workspaceId: address.workspaceId,
          spaceId: address.spaceId,
          computationId: computation.id,
          connectionId: connection.id,
          kind: 'sync',
          reason: connection.resync ? 'resync' : 'catch_up',
        })
      : null;
  if (!(await clearSuspension(tx, connection.id))) {
    throw new RequestError(
      'conflict',
      'not_suspended',
      `Syncs of ${computation.name} to ${connection.destination_name} are not suspended: there is nothing to resume.`,
      { field: 'destinationId' },
    );
  }
  await recordAuditEvent(tx, {
    workspaceId: address.workspaceId,
    spaceId: address.spaceId,
    type: `${KIND_NAMES[address.kind]} Destination Sync Resumed`,
    actor,
    resource: { type: address.kind, id: computation.id, name: computation.name },
    ...(taskId === null ? {} : { taskId }),
    details: {
      connectionId: connection.id,
      destinationId: address.destinationId,
      destinationName: connection.destination_name,
    },
    before: {
      suspendedAt: connection.suspended_at,
      reason: connection.suspended_reason,
      hardFailures: connection.hard_failures,
    },
    after: { suspendedAt: null, reason: null, hardFailures: 0 },
  });
  return taskId;
}
