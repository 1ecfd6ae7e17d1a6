import { wishResync } from '../../connections/index.ts';
import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import { KIND_NAMES, type ComputationAddress } from '../../computations/index.ts';
import { RequestError } from '../../errors.ts';
import type { Queryable, Transaction } from '../../store/index.ts';
import { createTask } from '../scheduling/create-task.ts';
import { lockTask } from '../model/lock-task.ts';
import { findControlled, requireActive } from './requirements.ts';

/** What becomes of a resync at one destination. */
export interface Resync {
  connectionId: string;
  destinationId: string;
  destinationName: string;
  /** The sync that sends everything, where one could be made at once. */
  taskId: string | null;
  /** What the sync that sends everything comes after, where none could be made at once. */
  after: 'open_sync' | 'resume' | 'enable' | null;
}

interface ConnectionRow {
  id: string;
  destination_id: string;
  destination_name: string;
  switched_on: boolean;
  suspended: boolean;
}

/**
 * Has all of a computation sent again: to all its destinations, or to those that are named. Where no sync is open one is made
 * at once; else the next one sends everything. Throws RequestError `not_connected` (400), `nothing_live`, `no_destinations`,
 * `computation_disabled`, `computation_paused` or `computation_not_found`.
 */
export async function requestResync(
  tx: Transaction,
  address: ComputationAddress,
  by: { actor: Actor; destinationIds?: readonly string[] | undefined },
): Promise<Resync[]> {
  const computation = await findControlled(tx, address);
  requireActive({ ...computation, paused: computation.paused_at !== null });
  if (computation.live_version === null) {
    throw new RequestError(
      'conflict',
      'nothing_live',
      `Nothing of ${computation.name} is live yet: its first run sends everything. Wait for it, or run it now.`,
      { field: 'id' },
    );
  }
  const connections = await connectionsOf(tx, computation, by.destinationIds);
  await lockOpenSyncs(tx, computation.id);
  const resyncs: Resync[] = [];
  for (const connection of connections) {
    const reachable = connection.switched_on && !connection.suspended;
    const taskId = reachable
      ? await createTask(tx, {
          workspaceId: address.workspaceId,
          spaceId: address.spaceId,
          computationId: computation.id,
          connectionId: connection.id,
          kind: 'sync',
          reason: 'resync',
        })
      : null;
    resyncs.push({
      connectionId: connection.id,
      destinationId: connection.destination_id,
      destinationName: connection.destination_name,
      taskId,
      after: taskId === null ? waitsFor(connection) : null,
    });
  }
  await wishResync(
    tx,
    connections.map((connection) => connection.id),
  );
  await recordAuditEvent(tx, {
    workspaceId: address.workspaceId,
    spaceId: address.spaceId,
    type: `${KIND_NAMES[address.kind]} Resync Requested`,
    actor: by.actor,
    resource: { type: address.kind, id: computation.id, name: computation.name },
    details: { destinations: resyncs },
  });
  return resyncs;
}

/** The connections that are meant, in the order in which a run's fan_out makes their syncs. */
async function connectionsOf(
  db: Queryable,
  computation: { id: string; name: string },
  destinationIds: readonly string[] | undefined,
): Promise<ConnectionRow[]> {
  const { rows } = await db.query<ConnectionRow>(
    `select n.id, n.destination_id, d.name as destination_name, d.enabled as switched_on,
            n.suspended_at is not null as suspended
     from connections n join destinations d on d.id = n.destination_id
     where n.computation_id = $1 and n.enabled and d.deleted_at is null
       and ($2::text[] is null or n.destination_id = any($2))
     order by n.id`,
    [computation.id, destinationIds ?? null],
  );
  const known = new Set(rows.map((row) => row.destination_id));
  const unknown = (destinationIds ?? []).filter((id) => !known.has(id));
  if (unknown.length > 0) {
    throw new RequestError(
      'invalid',
      'not_connected',
      `${computation.name} is not connected to ${unknown.join(', ')}. Name destinations that it is connected to, or none for all of them.`,
      { field: 'destinationIds', data: { destinationIds: unknown } },
    );
  }
  if (rows.length > 0) return rows;
  throw new RequestError(
    'conflict',
    'no_destinations',
    `${computation.name} is connected to no destination: connect it to one, and it is sent as a whole.`,
    { field: 'id' },
  );
}

/** A sync that is open can't end before the wish is there: its `finish` sees it, and makes the sync that fulfils it. */
async function lockOpenSyncs(tx: Transaction, computationId: string): Promise<void> {
  const { rows } = await tx.query<{ id: string }>(
    `select id from tasks where computation_id = $1 and kind = 'sync' and ended_at is null order by id`,
    [computationId],
  );
  for (const { id } of rows) await lockTask(tx, id);
}

function waitsFor(connection: ConnectionRow): Resync['after'] {
  if (!connection.switched_on) return 'enable';
  return connection.suspended ? 'resume' : 'open_sync';
}
