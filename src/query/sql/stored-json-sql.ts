import { ESCAPE, MARK } from '../../stored-json.ts';

const MARK_SQL = `'${MARK}'`;

/**
 * The JSON text of an expression that is JSON as it is stored (src/stored-json.ts), numbers as numbers. Nearly no value has a mark, and
 * `if` looks at the replacements only for the rows that do.
 */
export function storedToJsonSql(stored: string): string {
  const numbers = `replaceRegexpAll(${stored}, '"${MARK}([-0-9][^"]*)"', '\\\\1')`;
  return `if(position(${stored}, ${MARK_SQL}) = 0, ${stored}, replaceAll(${numbers}, '${MARK}${ESCAPE}', ${MARK_SQL}))`;
}

/** The stored form of an expression that is the JSON text of a string. */
export function escapeMarksSql(json: string): string {
  return `replaceAll(${json}, ${MARK_SQL}, '${MARK}${ESCAPE}')`;
}
