import { RequestError } from '../errors.ts';
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

/**
 * Refuses a definition that would lead back to its own computation, directly or through others. Follows references level by
 * level, one select a level. Call it with the space locked (lockSpace), so that two edits can't close a cycle together.
 */
export async function refuseCycle(db: Queryable, spaceId: string, key: string, references: string[]): Promise<void> {
  const seenFrom = new Map<string, string>(references.map((name) => [name, key]));
  let level = references;
  while (level.length > 0) {
    if (seenFrom.has(key)) throw cycleError(key, seenFrom);
    const { rows } = await db.query<{ key: string; definition_query: string }>(
      `select key, definition_query from computations where space_id = $1 and key = any($2) and deleted_at is null`,
      [spaceId, level],
    );
    const next = new Set<string>();
    for (const row of rows) {
      for (const name of referencesOf(row.definition_query)) {
        if (seenFrom.has(name)) continue;
        seenFrom.set(name, row.key);
        next.add(name);
      }
    }
    level = [...next];
  }
}

/** The keys of the space's computations whose definitions refer to this key. */
export async function referrersOf(db: Queryable, spaceId: string, key: string): Promise<string[]> {
  const { rows } = await db.query<{ key: string; definition_query: string }>(
    `select key, definition_query from computations
     where space_id = $1 and key <> $2 and deleted_at is null and strpos(definition_query, $2) > 0 order by key`,
    [spaceId, key],
  );
  return rows.filter((row) => referencesOf(row.definition_query).includes(key)).map((row) => row.key);
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
