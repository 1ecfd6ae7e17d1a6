import { computationNotFound, type ComputationAddress } from '../../computations/index.ts';
import { RequestError } from '../../errors.ts';
import type { Queryable } from '../../store/index.ts';

/** What controls need to know of a computation. */
export interface ControlledComputation {
  id: string;
  name: string;
  enabled: boolean;
  paused_at: Date | null;
  live_version: number | null;
}

/** The computation that someone wants to control. Throws RequestError `computation_not_found`. */
export async function findControlled(db: Queryable, address: ComputationAddress): Promise<ControlledComputation> {
  const { rows } = await db.query<ControlledComputation>(
    `select id, name, enabled, paused_at, live_version from computations
     where id = $1 and workspace_id = $2 and space_id = $3 and kind = $4 and deleted_at is null`,
    [address.id, address.workspaceId, address.spaceId, address.kind],
  );
  const row = rows[0];
  if (row === undefined) throw computationNotFound(address);
  return row;
}

/**
 * A computation that is disabled or paused has no new tasks, whoever asks for one. Throws RequestError `computation_disabled` or
 * `computation_paused`.
 */
export function requireActive(
  computation: { name: string; enabled: boolean; paused: boolean },
  field: 'id' | 'taskId' = 'id',
): void {
  if (!computation.enabled) {
    throw new RequestError('conflict', 'computation_disabled', `${computation.name} is disabled. Enable it first.`, {
      field,
    });
  }
  if (computation.paused) {
    throw new RequestError(
      'conflict',
      'computation_paused',
      `${computation.name} is paused, and has no new tasks until then. Resume it first.`,
      { field },
    );
  }
}

/**
 * A sync can only be made of a connection that is there and gets what is sent to it. Throws RequestError `not_connected`,
 * `destination_disabled` or `sync_suspended`.
 */
export async function requireReachable(db: Queryable, connectionId: string): Promise<void> {
  const { rows } = await db.query<{
    name: string;
    destination: string;
    connected: boolean;
    switched_on: boolean;
    suspended: boolean;
  }>(
    `select c.name, d.name as destination, n.enabled and d.deleted_at is null as connected, d.enabled as switched_on,
            n.suspended_at is not null as suspended
     from connections n join computations c on c.id = n.computation_id join destinations d on d.id = n.destination_id
     where n.id = $1`,
    [connectionId],
  );
  const row = rows[0];
  if (row === undefined || !row.connected) {
    const what = row === undefined ? 'It' : row.name;
    throw new RequestError(
      'conflict',
      'not_connected',
      `${what} is not connected to ${row?.destination ?? 'the destination'} any more. Connect it again: it is synced then.`,
      { field: 'taskId' },
    );
  }
  if (!row.switched_on) {
    throw new RequestError(
      'conflict',
      'destination_disabled',
      `The destination ${row.destination} is disabled. Enable it first.`,
      { field: 'taskId' },
    );
  }
  if (row.suspended) {
    throw new RequestError(
      'conflict',
      'sync_suspended',
      `Syncs of ${row.name} to ${row.destination} are suspended after repeated hard failures. Resume them first.`,
      { field: 'taskId' },
    );
  }
}
