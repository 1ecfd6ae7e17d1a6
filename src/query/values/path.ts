/**
 * Splits a path into the keys it walks: `page.url` is `['page', 'url']`. A dot after one backslash or more belongs to the
 * key: the reference writes `\\\\.`, which by then has gone through none, one or two rounds of unescaping.
 * Null if a key is empty, as in `a..b`.
 */
export function splitPath(path: string): string[] | null {
  const keys = path
    .replaceAll(/\\+\./g, '\0')
    .split('.')
    .map((key) => key.replaceAll('\0', '.'));
  return keys.includes('') ? null : keys;
}
