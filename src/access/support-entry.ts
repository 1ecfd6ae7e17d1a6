import { recordAuditEvent, type Actor } from '../audit/index.ts';
import { inTransaction, type PostgresPool, type Queryable } from '../store/index.ts';

/** A way in that gives the rights of support: a session or a token, and the workspace that it enters. */
export interface SupportEntry {
  /** A token's id, or the hash of a session's secret in hex. */
  entry: string;
  actor: Actor;
  workspaceId: string;
  workspaceName: string;
  details?: Record<string, unknown>;
}

/**
 * Writes `Support Login` into a workspace's trail, once for each session or token. Whoever lets someone in as support calls it
 * first, and lets nobody in where it fails.
 */
export async function recordSupportEntry(pool: PostgresPool, input: SupportEntry): Promise<void> {
  const values = [input.entry, input.workspaceId];
  const known = await pool.query('select from support_entries where entry = $1 and workspace_id = $2', values);
  if (known.rowCount !== 0) return;
  await inTransaction(pool, async (tx) => {
    // Of several requests at once the first inserts, and the others wait for its commit.
    const { rowCount } = await tx.query(
      'insert into support_entries (entry, workspace_id) values ($1, $2) on conflict do nothing',
      values,
    );
    if (rowCount === 0) return;
    await recordAuditEvent(tx, {
      workspaceId: input.workspaceId,
      type: 'Support Login',
      actor: input.actor,
      resource: { type: 'workspace', id: input.workspaceId, name: input.workspaceName },
      details: input.details ?? {},
    });
  });
}

/** Forgets the entries of sessions that are over: they enter nowhere any more. */
export async function forgetSupportEntries(db: Queryable, sessionHashes: readonly Buffer[]): Promise<void> {
  await db.query('delete from support_entries where entry = any($1)', [
    sessionHashes.map((hash) => hash.toString('hex')),
  ]);
}
