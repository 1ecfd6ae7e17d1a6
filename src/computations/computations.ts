import { RequestError } from '../errors.ts';
import type { Queryable } from '../store/index.ts';
import type { StatusInputs } from './status.ts';
import type { ScheduleColumns } from './schedule.ts';

export type ComputationKind = 'audience' | 'computed_trait';
export type DefinitionType = 'USERS' | 'ACCOUNTS';

/** A computation as it is stored. Sizes are counts of profiles or accounts. */
export interface ComputationRow extends ScheduleColumns {
  id: string;
  workspace_id: string;
  space_id: string;
  kind: ComputationKind;
  key: string;
  name: string;
  description: string;
  definition_type: DefinitionType;
  definition_query: string;
  definition_version: number;
  enabled: boolean;
  /** The next slot of the schedule, and when it is due: jitter moves that behind the slot, an edit to at once. */
  next_slot_at: Date;
  next_run_at: Date;
  /** The traits that the definition refers to, whether computations or not. */
  refers_to: string[];
  /** Those of them that were computations when the definition was written; null where that was not kept yet. */
  computed_traits: string[] | null;
  paused_at: Date | null;
  paused_by: string | null;
  /** Hard failures of its runs in a row. */
  hard_failures: number;
  /** Why the system disabled it; null where a person did, or nobody. */
  disabled_reason: string | null;
  /** Of an audience: a run that would remove more than this share of more than so many members asks first; null is off. */
  guard_share: number | null;
  guard_min_members: number;
  live_version: number | null;
  live_as_of: Date | null;
  live_size: number | null;
  live_definition_version: number | null;
  previous_version: number | null;
  created_by: string;
  updated_by: string;
  created_at: Date;
  updated_at: Date;
  deleted_at: Date | null;
}

/** A computation with all that its status is derived from, and its connections: one select, however many computations. */
export interface ComputationView extends ComputationRow, StatusInputs {
  connections: ConnectionView[];
}

/** A destination that the computation is connected to; what was disconnected is not among them. */
interface ConnectionView {
  id: string;
  destination_id: string;
  destination_name: string;
  destination_slug: string;
  /** Whether the destination is switched on. */
  enabled: boolean;
  synced_version: number | null;
  /** ISO 8601, as PostgreSQL writes it in JSON. */
  synced_at: string | null;
  /** Since when the system sends nothing more to it, and why; null where it does. */
  suspended_at: string | null;
  suspended_reason: string | null;
}

/** The words for a kind, as the trail and the pages use them. */
export const KIND_NAMES = { audience: 'Audience', computed_trait: 'Computed Trait' } as const;

const VIEW = `
  select c.*,
    coalesce(finished.status = 'failed', false) as last_run_failed,
    exists (
      select from tasks t
      where t.computation_id = c.id and t.kind = 'run' and t.ended_at is null
        and t.started_at is not null
    ) as run_in_progress,
    exists (
      select from tasks t
      where t.computation_id = c.id and t.kind = 'run' and t.ended_at is null and t.status = 'awaiting_approval'
    ) as run_awaits_approval,
    coalesce(sent.awaited, 0)::int as destinations_awaited,
    coalesce(sent.connections, '[]') as connections
  from computations c
  left join lateral (
    select t.status from tasks t
    where t.computation_id = c.id and t.kind = 'run' and t.status in ('succeeded', 'failed')
    order by t.created_at desc limit 1
  ) finished on true
  left join lateral (
    select
      count(*) filter (
        where d.enabled and (n.synced_version is null or n.synced_version < c.live_version)
      ) as awaited,
      json_agg(json_build_object(
        'id', n.id, 'destination_id', d.id, 'destination_name', d.name, 'destination_slug', d.slug,
        'enabled', d.enabled, 'synced_version', n.synced_version, 'synced_at', n.synced_at,
        'suspended_at', n.suspended_at, 'suspended_reason', n.suspended_reason
      ) order by n.id) as connections
    from connections n join destinations d on d.id = n.destination_id
    where n.computation_id = c.id and n.enabled and d.deleted_at is null
  ) sent on true
  where c.deleted_at is null`;

export interface ComputationAddress {
  workspaceId: string;
  spaceId: string;
  kind: ComputationKind;
  id: string;
}

/** The computation at this address. Throws RequestError `not_found`, also for one of another workspace, space or kind. */
export async function getComputation(db: Queryable, address: ComputationAddress): Promise<ComputationView> {
  const { rows } = await db.query<ComputationView>(
    `${VIEW} and c.workspace_id = $1 and c.space_id = $2 and c.kind = $3 and c.id = $4`,
    [address.workspaceId, address.spaceId, address.kind, address.id],
  );
  const [row] = rows;
  if (row === undefined) throw computationNotFound(address);
  return row;
}

/** The computation with this id, whatever its space and kind. Throws RequestError `not_found`. */
export async function findComputation(
  db: Queryable,
  query: { workspaceId: string; id: string },
): Promise<ComputationView> {
  const { rows } = await db.query<ComputationView>(`${VIEW} and c.workspace_id = $1 and c.id = $2`, [
    query.workspaceId,
    query.id,
  ]);
  const [row] = rows;
  if (row !== undefined) return row;
  throw new RequestError(
    'not_found',
    'computation_not_found',
    `There is no computation ${query.id} in this workspace.`,
    {
      field: 'id',
    },
  );
}

/** A page of a space's computations of one kind, oldest first; `afterId` is the last id of the page before. */
export async function listComputations(
  db: Queryable,
  query: { workspaceId: string; spaceId: string; kind: ComputationKind; afterId?: string | undefined; limit: number },
): Promise<{
  rows: ComputationView[];
  total: number;
  nextAfterId: string | null;
  /** Where the page before begins: with an afterId of null it is the first one; null on the first page. */
  previous: { afterId: string | null } | null;
}> {
  const { rows } = await db.query<ComputationView>(
    `${VIEW} and c.workspace_id = $1 and c.space_id = $2 and c.kind = $3 and c.id > $4 order by c.id limit $5`,
    [query.workspaceId, query.spaceId, query.kind, query.afterId ?? '', query.limit + 1],
  );
  const total = await db.query<{ count: number }>(
    `select count(*) from computations
     where workspace_id = $1 and space_id = $2 and kind = $3 and deleted_at is null`,
    [query.workspaceId, query.spaceId, query.kind],
  );
  const before = await db.query<{ id: string }>(
    `select id from computations
     where workspace_id = $1 and space_id = $2 and kind = $3 and deleted_at is null and id <= $4
     order by id desc offset $5 limit 1`,
    [query.workspaceId, query.spaceId, query.kind, query.afterId ?? '', query.limit],
  );
  const page = rows.slice(0, query.limit);
  return {
    rows: page,
    total: total.rows[0]?.count ?? 0,
    nextAfterId: rows.length > query.limit ? (page.at(-1)?.id ?? null) : null,
    previous: query.afterId === undefined ? null : { afterId: before.rows[0]?.id ?? null },
  };
}

/** All computations of a workspace, whatever their space and kind, up to `limit`: what the page at / shows. */
export async function listWorkspaceComputations(
  db: Queryable,
  query: { workspaceId: string; limit: number },
): Promise<ComputationView[]> {
  const { rows } = await db.query<ComputationView>(`${VIEW} and c.workspace_id = $1 order by c.kind, c.id limit $2`, [
    query.workspaceId,
    query.limit,
  ]);
  return rows;
}

export function computationNotFound(address: ComputationAddress): RequestError {
  return new RequestError(
    'not_found',
    'computation_not_found',
    `There is no ${KIND_NAMES[address.kind].toLowerCase()} ${address.id} in the space ${address.spaceId}.`,
    { field: 'id' },
  );
}
