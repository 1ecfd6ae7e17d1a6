import { parseQuery, QueryError, type TraitResolver } from '../query/index.ts';
import { TaskFailure } from '../errors.ts';
import type { Queryable, Transaction } from '../store/index.ts';
import { checkReferences } from './check-references.ts';
import { computedReferencesOf, type StoredReferences } from './definition.ts';

/** What a run computes, fixed at its beginning. */
export interface PinnedDefinition {
  query: string;
  definitionVersion: number;
  /** ISO 8601: events after it are not seen. */
  asOf: string;
  liveVersion: number | null;
  liveSize: number | null;
  /** The definition's traits that are other computations, each at the version that was live. */
  traits: Record<string, { from: 'audience' | 'computed_trait'; computationId: string; version: number }>;
}

/**
 * Reads the definition as it stands, with the moment and the versions of other computations that it refers to.
 * Returns null if the computation is not there any more; throws TaskFailure definition_invalid if it does not parse, and what
 * checkReferences throws.
 */
export async function pinDefinition(tx: Transaction, computationId: string): Promise<PinnedDefinition | null> {
  const { rows } = await tx.query<{
    space_id: string;
    key: string;
    updated_at: Date;
    definition_query: string;
    refers_to: string[];
    computed_traits: string[] | null;
    definition_version: number;
    live_version: number | null;
    live_size: number | null;
    as_of: Date;
  }>(
    `select space_id, key, updated_at, definition_query, refers_to, computed_traits, definition_version, live_version, live_size, date_trunc('milliseconds', now()) as as_of
     from computations where id = $1 and deleted_at is null`,
    [computationId],
  );
  const row = rows[0];
  if (row === undefined) return null;
  const { computed, open } = referencesIn(row);
  const names = [...computed, ...open];
  const { traits } =
    names.length === 0
      ? { traits: {} }
      : await readLiveTraits(tx, { spaceId: row.space_id, names, exceptId: computationId });
  const computation = { id: computationId, spaceId: row.space_id, key: row.key, updatedAt: row.updated_at };
  await checkReferences(tx, computation, { computed, open }, new Set(Object.keys(traits)));
  return {
    query: row.definition_query,
    definitionVersion: row.definition_version,
    asOf: row.as_of.toISOString(),
    liveVersion: row.live_version,
    liveSize: row.live_size,
    traits,
  };
}

/** Resolves the names of a definition's traits by what was pinned; what was not is a trait of the profile, whatever its name. */
export function resolverOf(traits: PinnedDefinition['traits']): TraitResolver {
  return (name) => (Object.hasOwn(traits, name) ? traits[name] : undefined) ?? { from: 'profile' };
}

/**
 * Which of these traits are computations of the space that have a live version, and the moment in which that was so. A
 * computation does not refer to itself: its own key, if it has one yet, is a trait of the profile.
 */
export async function readLiveTraits(
  db: Queryable,
  query: { spaceId: string; names: readonly string[]; exceptId: string | null },
): Promise<{ asOf: Date; traits: PinnedDefinition['traits'] }> {
  const { rows } = await db.query<{
    as_of: Date;
    key: string | null;
    kind: 'audience' | 'computed_trait';
    id: string;
    live_version: number;
  }>(
    `select date_trunc('milliseconds', now()) as as_of, other.*
     from (values (1)) one
     left join lateral (
       select key, kind, id, live_version from computations
       where space_id = $1 and key = any($2) and id is distinct from $3 and deleted_at is null and live_version is not null
     ) other on true`,
    [query.spaceId, query.names, query.exceptId],
  );
  const [first] = rows;
  if (first === undefined) throw new Error('a select of one row gave none');
  return {
    asOf: first.as_of,
    traits: Object.fromEntries(
      rows.flatMap(({ key, kind, id, live_version }) =>
        key === null ? [] : [[key, { from: kind, computationId: id, version: live_version }]],
      ),
    ),
  };
}

/** The traits of the definition that are computations, and those of which that was not kept. The others are traits of profiles. */
function referencesIn(row: StoredReferences): { computed: string[]; open: string[] } {
  try {
    parseQuery(row.definition_query);
  } catch (error) {
    if (error instanceof QueryError) throw new TaskFailure('definition_invalid', error.message, { cause: error });
    throw error;
  }
  const names = computedReferencesOf(row);
  const computed = names.filter((name) => row.computed_traits?.includes(name) === true);
  return { computed, open: names.filter((name) => !computed.includes(name)) };
}
