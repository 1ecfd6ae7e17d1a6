import { endConnectionsTo } from '../../connections/index.ts';
import {
  deleteDestination,
  updateDestination,
  type DestinationDeps,
  type DestinationView,
  type UpdateDestinationInput,
} from '../../destinations/index.ts';
import type { Queryable, Transaction } from '../../store/index.ts';
import { createTasks } from '../scheduling/create-task.ts';

/** A destination that was changed, and the tasks that hear of it once that is committed. */
export interface EditedDestination {
  view: DestinationView;
  /** Syncs that were made, to be started: they send what was missed. */
  made: string[];
  /** Syncs that are open, to be woken: they are cancelled, or go on under what there is now. */
  open: string[];
}

/**
 * Changes a destination (see updateDestination), and lets it catch up at once: a sync of each connection that is behind; of each one
 * where it was switched on, or its subscriptions are for other messages than before, because what no subscription was for was
 * skipped. Throws what updateDestination throws.
 */
export async function editDestination(
  tx: Transaction,
  deps: DestinationDeps,
  input: UpdateDestinationInput,
): Promise<EditedDestination> {
  const open = await lockOpenSyncs(tx, input);
  const before = await readReach(tx, input.destinationId);
  const view = await updateDestination(tx, deps, input);
  const after = await readReach(tx, input.destinationId);
  if (before === undefined || after === undefined || before.revision === after.revision) {
    return { view, made: [], open: [] };
  }
  const all = !before.enabled || before.reach !== after.reach;
  return { view, made: after.enabled ? await catchUp(tx, input.destinationId, all) : [], open };
}

/** Deletes a destination. Returns its open syncs, to be woken once that is committed. Throws what deleteDestination throws. */
export async function removeDestination(
  tx: Transaction,
  deps: DestinationDeps,
  input: Parameters<typeof deleteDestination>[2],
): Promise<string[]> {
  const open = await lockOpenSyncs(tx, input);
  await deleteDestination(tx, deps, input, endConnectionsTo);
  return open;
}

/** Locks the open syncs to a destination before it, as a sync's own steps do: the other way round, both could wait for ever. */
async function lockOpenSyncs(tx: Transaction, of: { workspaceId: string; destinationId: string }): Promise<string[]> {
  const { rows } = await tx.query<{ id: string }>(
    `select id from tasks where destination_id = $1 and workspace_id = $2 and kind = 'sync' and ended_at is null
     order by id for update`,
    [of.destinationId, of.workspaceId],
  );
  return rows.map(({ id }) => id);
}

interface Reach {
  enabled: boolean;
  revision: number;
  /** For which messages it has subscriptions, as a word to compare. */
  reach: string;
}

async function readReach(db: Queryable, destinationId: string): Promise<Reach | undefined> {
  const { rows } = await db.query<Reach>(
    `select d.enabled, d.revision,
            coalesce((select jsonb_agg(jsonb_build_array(s.action, s.trigger) order by s.action, s.trigger, s.id)
                      from subscriptions s where s.destination_id = d.id and s.enabled), '[]')::text as reach
     from destinations d where d.id = $1`,
    [destinationId],
  );
  return rows[0];
}

/** Makes the syncs of a destination's connections that are behind, or of `all` that have anything live. */
async function catchUp(tx: Transaction, destinationId: string, all: boolean): Promise<string[]> {
  const { rows } = await tx.query<{
    workspace_id: string;
    space_id: string;
    computation_id: string;
    connection_id: string;
    resync: boolean;
  }>(
    `select c.workspace_id, c.space_id, c.id as computation_id, n.id as connection_id,
            n.resync_requested_at is not null as resync
     from connections n join computations c on c.id = n.computation_id
     where n.destination_id = $1 and n.enabled and n.suspended_at is null
       and c.enabled and c.deleted_at is null and c.live_version is not null
       and ($2 or n.synced_version is null or n.synced_version < c.live_version or n.resync_requested_at is not null)
     order by n.id`,
    [destinationId, all],
  );
  const made = await createTasks(
    tx,
    rows.map((row) => ({
      workspaceId: row.workspace_id,
      spaceId: row.space_id,
      computationId: row.computation_id,
      connectionId: row.connection_id,
      kind: 'sync',
      reason: row.resync ? 'resync' : 'catch_up',
    })),
  );
  return made.filter((id) => id !== null);
}
