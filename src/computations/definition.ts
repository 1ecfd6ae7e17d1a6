import { RequestError } from '../errors.ts';
import { MATCHED_TRAIT } from '../profiles/index.ts';
import { checkQuery, parseQuery, QueryError, referencedTraits } from '../query/index.ts';
import type { Queryable } from '../store/index.ts';
import type { ComputationKind, DefinitionType } from './computations.ts';

export interface Definition {
  type: DefinitionType;
  query: string;
}

/**
 * Parses and checks a definition, and returns the names of the traits that it refers to (some of them may be computations).
 * Throws RequestError `definition_invalid` for the field definition.query, with the place, what was found and what was expected.
 */
export function checkDefinition(definition: Definition, kind: ComputationKind): string[] {
  try {
    const query = parseQuery(definition.query);
    checkQuery(query, { kind, definitionType: definition.type });
    return referencedTraits(query);
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    const place = `line ${error.line}, column ${error.column}`;
    throw new RequestError('invalid', 'definition_invalid', `${error.message} (${place})`, {
      field: 'definition.query',
      data: {
        code: error.code,
        offset: error.offset,
        length: error.length,
        line: error.line,
        column: error.column,
        found: error.found,
        expected: error.expected,
      },
      cause: error,
    });
  }
}

/** What a stored definition reads, and which of that are other computations; null where that was not kept yet when it was written. */
export interface StoredReferences {
  definition_query: string;
  refers_to: string[];
  computed_traits: string[] | null;
}

/**
 * Which of the traits that a definition reads are other computations, as it is written now: those that there are. What a definition of
 * the same computation read before stays what it was, because an edit of a threshold must not make another trait of it. Call it with
 * the space locked (lockSpace).
 */
export async function resolveTraits(
  db: Queryable,
  spaceId: string,
  names: readonly string[],
  computationId: string | null,
): Promise<string[]> {
  if (names.length === 0) return [];
  const { rows } = await db.query<{ key: string }>(
    `select c.key from computations c
     where c.space_id = $1 and c.key = any($2) and c.deleted_at is null and c.id is distinct from $3
       and not exists (
         select from computations own
         where own.id = $3 and own.computed_traits is not null
           and c.key = any(own.refers_to) and not c.key = any(own.computed_traits)
       )`,
    [spaceId, names, computationId],
  );
  const computed = new Set(rows.map((row) => row.key));
  return names.filter((name) => computed.has(name));
}

/**
 * Those of the traits that a stored definition reads which other computations are meant by, if there are any: all but those that were
 * traits of profiles when it was written. What nobody has resolved may be either.
 */
export function computedReferencesOf(stored: StoredReferences): string[] {
  const { refers_to: known, computed_traits: computed } = stored;
  return referencesOf(stored.definition_query).filter(
    (name) => computed === null || computed.includes(name) || !known.includes(name),
  );
}

const STORED = 'definition_query, refers_to, computed_traits';

/**
 * Refuses a definition that would lead back to its own computation, directly or through others. `references` are the computations that
 * it reads. Follows references level by level, one select a level. Call it with the space locked (lockSpace), so that two edits
 * can't close a cycle together.
 */
export async function refuseCycle(db: Queryable, spaceId: string, key: string, references: string[]): Promise<void> {
  const seenFrom = new Map<string, string>(references.map((name) => [name, key]));
  let level = references;
  while (level.length > 0) {
    if (seenFrom.has(key)) throw cycleError(key, seenFrom);
    const { rows } = await db.query<StoredReferences & { key: string }>(
      `select key, ${STORED} from computations where space_id = $1 and key = any($2) and deleted_at is null`,
      [spaceId, level],
    );
    const next = new Set<string>();
    for (const row of rows) {
      for (const name of computedReferencesOf(row)) {
        if (seenFrom.has(name)) continue;
        seenFrom.set(name, row.key);
        next.add(name);
      }
    }
    level = [...next];
  }
}

/** The keys of the space's computations whose definitions refer to the computation with this key. */
export async function referrersOf(db: Queryable, spaceId: string, key: string): Promise<string[]> {
  const { rows } = await db.query<StoredReferences & { key: string }>(
    `select key, ${STORED} from computations
     where space_id = $1 and key <> $2 and deleted_at is null and strpos(definition_query, $2) > 0 order by key`,
    [spaceId, key],
  );
  return rows.filter((row) => computedReferencesOf(row).includes(key)).map((row) => row.key);
}

// What the messages of a computation say of it, beside its key.
const MESSAGE_PROPERTIES = new Set(['audience_key', 'audience_name', 'trait_key']);

/**
 * Refuses a key that is a trait of the space's profiles: one that is recorded, that a definition reads, or that destinations match
 * people by. The computation would be taken for the trait, or the trait for the computation. Throws RequestError `key_is_trait`.
 * Call it with the space locked (lockSpace).
 */
export async function refuseShadowing(db: Queryable, spaceId: string, key: string, isRecorded: boolean): Promise<void> {
  const { rows } = await db.query<{ key: string }>(
    `select key from computations
     where space_id = $1 and deleted_at is null and $2 = any(refers_to) and not $2 = any(coalesce(computed_traits, '{}'))
     order by key`,
    [spaceId, key],
  );
  const definitions = rows.map((row) => row.key);
  const why = [
    ...(key === MATCHED_TRAIT ? ['destinations match people by it'] : []),
    ...(MESSAGE_PROPERTIES.has(key) ? ['every message has a property of that name'] : []),
    ...(isRecorded ? ['it is recorded of profiles of this space'] : []),
    ...(definitions.length > 0 ? [`the definitions of ${definitions.join(', ')} read it`] : []),
  ];
  if (why.length === 0) return;
  throw new RequestError(
    'conflict',
    'key_is_trait',
    `The key ${key} means something already: ${why.join(', and ')}. A computation with that key would be taken for it. Choose another.`,
    { field: 'key', data: { trait: key, definitions, recorded: isRecorded } },
  );
}

/**
 * Serialises changes of a space's computations against each other until the transaction ends, and tells the time of PostgreSQL,
 * to the millisecond. Throws `not_found`.
 */
export async function lockSpace(tx: Queryable, workspaceId: string, spaceId: string): Promise<Date> {
  const { rows } = await tx.query<{ now: Date }>(
    'select now() as now from spaces where id = $1 and workspace_id = $2 for no key update',
    [spaceId, workspaceId],
  );
  const [row] = rows;
  if (row === undefined) {
    throw new RequestError('not_found', 'space_not_found', `There is no space ${spaceId} in this workspace.`, {
      field: 'spaceId',
    });
  }
  return row.now;
}

/** The names of the traits that a stored definition refers to. One that an older version accepted and that does not parse any more refers to nothing. */
export function referencesOf(query: string): string[] {
  try {
    return referencedTraits(parseQuery(query));
  } catch (error) {
    if (error instanceof QueryError) return [];
    throw error;
  }
}

function cycleError(key: string, seenFrom: Map<string, string>): RequestError {
  const path = [key];
  for (let at = seenFrom.get(key); at !== undefined && at !== key; at = seenFrom.get(at)) path.unshift(at);
  path.unshift(key);
  return new RequestError(
    'invalid',
    'definition_cycle',
    `The definition refers back to its own computation: ${path.join(' → ')}. Take one of these references away.`,
    { field: 'definition.query', data: { cycle: path } },
  );
}
