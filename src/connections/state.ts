import type { Queryable, Transaction } from '../store/index.ts';

/*
 * What syncs, people and the system make of connections. Nobody else writes the table; audit events are the callers', who know why.
 */

/** Counts a hard failure of a connection's syncs. Undefined where there is no such connection. */
export async function countConnectionFailure(
  tx: Transaction,
  connectionId: string | null,
): Promise<{ hardFailures: number; suspended: boolean } | undefined> {
  const { rows } = await tx.query<{ hardFailures: number; suspended: boolean }>(
    `update connections set hard_failures = hard_failures + 1 where id = $1
     returning hard_failures as "hardFailures", suspended_at is not null as suspended`,
    [connectionId],
  );
  return rows[0];
}

/** Ends the row of hard failures of a connection's syncs. */
export async function clearConnectionFailures(tx: Transaction, connectionId: string | null): Promise<void> {
  await tx.query({
    name: 'clear-failures-of-syncs',
    text: 'update connections set hard_failures = 0 where id = $1 and hard_failures > 0',
    values: [connectionId],
  });
}

/** Suspends syncs of a connection, for a reason that people read. */
export async function suspendConnection(tx: Transaction, connectionId: string | null, reason: string): Promise<void> {
  await tx.query('update connections set suspended_at = clock_timestamp(), suspended_reason = $2 where id = $1', [
    connectionId,
    reason,
  ]);
}

/** Lets syncs of a suspended connection go on, with a clean start. False where it is not suspended. */
export async function clearSuspension(tx: Transaction, connectionId: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update connections set suspended_at = null, suspended_reason = null, hard_failures = 0
     where id = $1 and suspended_at is not null`,
    [connectionId],
  );
  return rowCount !== 0;
}

/** The same for all connections of a computation: enabling it starts clean, and what the system suspended is tried again. */
export async function clearSuspensionsOf(tx: Transaction, computationId: string): Promise<void> {
  await tx.query(
    `update connections set hard_failures = 0, suspended_at = null, suspended_reason = null
     where computation_id = $1 and (hard_failures > 0 or suspended_at is not null)`,
    [computationId],
  );
}

/** Ends all connections to a destination. Returns the computations that were connected to it. */
export async function endConnectionsTo(tx: Transaction, destinationId: string): Promise<string[]> {
  const { rows } = await tx.query<{ computation_id: string }>(
    'update connections set enabled = false where destination_id = $1 and enabled returning computation_id',
    [destinationId],
  );
  return rows.map((row) => row.computation_id);
}

/** Wishes that everything is sent again; a sync's `finish` fulfils the wishes that came before its extract. */
export async function wishResync(tx: Transaction, connectionIds: readonly string[]): Promise<void> {
  await tx.query(
    `with wanted as (select id from connections where id = any($1) order by id for no key update)
     update connections n set resync_requested_at = now() from wanted where n.id = wanted.id`,
    [connectionIds],
  );
}

/** The same where there is no wish yet: one that stands keeps its time. */
export async function keepResyncWish(tx: Transaction, connectionId: string | null): Promise<void> {
  await tx.query('update connections set resync_requested_at = coalesce(resync_requested_at, now()) where id = $1', [
    connectionId,
  ]);
}

/** Takes back the wish that a resync was made for, where nobody has had a later one. */
export async function withdrawResyncWish(tx: Transaction, taskId: string): Promise<void> {
  await tx.query(
    `update connections n set resync_requested_at = null
     from tasks t
     where t.id = $1 and t.reason = 'resync' and n.id = t.connection_id and n.resync_requested_at <= t.created_at`,
    [taskId],
  );
}

/** Keeps the id that the destination gave the audience. */
export async function keepExternalAudienceId(
  tx: Transaction,
  connectionId: string,
  externalAudienceId: string | null,
): Promise<void> {
  await tx.query('update connections set external_audience_id = $2 where id = $1', [connectionId, externalAudienceId]);
}

/** A connection after a sync of it. */
export interface SyncedConnection {
  syncedVersion: number | null;
  /** Whether a wish is left that everything is sent again. */
  resync: boolean;
  /** What people had made of the destination by then. */
  destinationRevision: number;
}

/**
 * Notes that a sync has ended: the version that the destination has now, unless the sync sent a part of the difference alone, and that the
 * wish for everything which it served, by its time as PostgreSQL writes it, is fulfilled. Undefined where the connection is gone.
 */
export async function noteSynced(
  tx: Transaction,
  sync: { connectionId: string | null; version: number; partial: boolean; resyncRequestedAt: string | null },
): Promise<SyncedConnection | undefined> {
  const { rows } = await tx.query<SyncedConnection>(
    `update connections
     set synced_version = case when $3 then synced_version else $2::bigint end,
         synced_at = case when $3 then synced_at else clock_timestamp() end,
         resync_requested_at = nullif(resync_requested_at, $4::timestamptz)
     where id = $1
     returning synced_version as "syncedVersion", resync_requested_at is not null as resync,
               (select d.revision from destinations d where d.id = connections.destination_id) as "destinationRevision"`,
    [sync.connectionId, sync.version, sync.partial, sync.resyncRequestedAt],
  );
  return rows[0];
}

/** Connections of a computation that are on, and those of them that are not suspended. */
export async function countConnections(db: Queryable, computationId: string): Promise<{ on: number; left: number }> {
  const { rows } = await db.query<{ on: number; left: number }>(
    `select count(*) as on, count(*) filter (where n.suspended_at is null) as left
     from connections n join destinations d on d.id = n.destination_id
     where n.computation_id = $1 and n.enabled and d.enabled and d.deleted_at is null`,
    [computationId],
  );
  return rows[0] ?? { on: 0, left: 0 };
}
