import { LRUCache } from 'lru-cache';
import { isDeepStrictEqual } from 'node:util';
import { getSpace } from '../../access/index.ts';
import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import type { Queryable } from '../../store/index.ts';
import { createIdFilter, DEFAULT_BLOCKED_IDS, DEFAULT_ID_FILTER, normalizeId, type IdFilter } from './blocked-ids.ts';

/** The values that identify nobody in a space: its own list, or the default one. */
export interface BlockedIds {
  values: readonly string[];
  isDefault: boolean;
}

/** A space's blocked ids. Throws 'space_not_found'. */
export async function getBlockedIds(db: Queryable, workspaceId: string, spaceId: string): Promise<BlockedIds> {
  const space = await getSpace(db, workspaceId, spaceId);
  return shown((await readBlockedIds(db, [space.id])).get(space.id));
}

/**
 * Gives a space a list of its own, or (null) the default one again. It holds for events that are loaded from then on. What is as
 * asked already is no change and leaves no record. Throws 'space_not_found'.
 */
export async function setBlockedIds(
  tx: Queryable,
  input: { workspaceId: string; spaceId: string; values: readonly string[] | null; actor: Actor },
): Promise<BlockedIds> {
  const space = await getSpace(tx, input.workspaceId, input.spaceId, { lock: true });
  const before = shown((await readBlockedIds(tx, [space.id])).get(space.id));
  const after = shown(input.values === null ? undefined : withoutRepeats(input.values));
  if (isDeepStrictEqual(before, after)) return before;
  if (after.isDefault) await tx.query('delete from space_blocked_ids where space_id = $1', [space.id]);
  else {
    await tx.query(
      `insert into space_blocked_ids (space_id, "values") values ($1, $2)
       on conflict (space_id) do update set "values" = excluded."values", updated_at = now()`,
      [space.id, after.values],
    );
  }
  await recordAuditEvent(tx, {
    workspaceId: space.workspace_id,
    spaceId: space.id,
    type: 'Space Modified',
    actor: input.actor,
    resource: { type: 'space', id: space.id, name: space.name },
    before: { blockedIds: before.values },
    after: { blockedIds: after.values },
  });
  return after;
}

/** The lists of those spaces that have one of their own. */
export async function readBlockedIds(db: Queryable, spaceIds: readonly string[]): Promise<Map<string, string[]>> {
  if (spaceIds.length === 0) return new Map();
  const { rows } = await db.query<{ space_id: string; values: string[] }>(
    'select space_id, "values" from space_blocked_ids where space_id = any($1)',
    [spaceIds],
  );
  return new Map(rows.map((row) => [row.space_id, row.values]));
}

export type SourceIdFilters = (sourceId: string) => Promise<readonly IdFilter[]>;

const TTL_MS = 3_000;
const MAX_ENTRIES = 1_000;

/**
 * The filters of the spaces that a source's events go into, each once; the default one where there is no space. Remembered for
 * some seconds: so long a changed list holds only for what is loaded.
 */
export function createSourceIdFilters(db: Queryable): SourceIdFilters {
  const remembered = new LRUCache<string, readonly IdFilter[]>({ max: MAX_ENTRIES, ttl: TTL_MS });
  return async (sourceId) => {
    const known = remembered.get(sourceId);
    if (known !== undefined) return known;
    const filters = await readSourceFilters(db, sourceId);
    remembered.set(sourceId, filters);
    return filters;
  };
}

async function readSourceFilters(db: Queryable, sourceId: string): Promise<readonly IdFilter[]> {
  const { rows } = await db.query<{ values: string[] | null }>(
    `select distinct b."values" from space_sources c left join space_blocked_ids b on b.space_id = c.space_id
     where c.source_id = $1`,
    [sourceId],
  );
  if (rows.length === 0) return [DEFAULT_ID_FILTER];
  return rows.map(({ values }) => (values === null ? DEFAULT_ID_FILTER : createIdFilter(values)));
}

function shown(own: readonly string[] | undefined): BlockedIds {
  return own === undefined ? { values: DEFAULT_BLOCKED_IDS, isDefault: true } : { values: own, isDefault: false };
}

/** Each value once, as it was given first. */
function withoutRepeats(values: readonly string[]): string[] {
  const byNormal = new Map<string, string>();
  for (const value of values) {
    const normal = normalizeId(value);
    if (!byNormal.has(normal)) byNormal.set(normal, value);
  }
  return [...byNormal.values()];
}
