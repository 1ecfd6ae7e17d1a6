/** Conditions as SQL. They are 0 or 1, never NULL, so that NOT is NOT; what is known before the query runs is folded away. */
export const TRUE = '1';
export const FALSE = '0';
export const NULL = 'NULL';

export function all(conditions: readonly string[]): string {
  if (conditions.includes(FALSE)) return FALSE;
  const open = conditions.filter((condition) => condition !== TRUE);
  return open.length < 2 ? (open[0] ?? TRUE) : `(${open.join(' AND ')})`;
}

export function any(conditions: readonly string[]): string {
  if (conditions.includes(TRUE)) return TRUE;
  const open = conditions.filter((condition) => condition !== FALSE);
  return open.length < 2 ? (open[0] ?? FALSE) : `(${open.join(' OR ')})`;
}

export function not(condition: string): string {
  if (condition === TRUE) return FALSE;
  return condition === FALSE ? TRUE : `NOT (${condition})`;
}

/** A comparison of two expressions that may be NULL: false if one of them is. */
export function compare(left: string, operator: '=' | '>' | '>=' | '<' | '<=' | 'IN', right: string): string {
  return left === NULL || right === NULL ? FALSE : `ifNull(${left} ${operator} ${right}, 0)`;
}
