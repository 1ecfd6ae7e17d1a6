import { stripComments } from './read-request.ts';

// chDB formats each piece of a stream as a whole of its own: only formats without head and foot may be put together again.
const STREAMABLE = new Set(
  [
    'JSONEachRow',
    'JSONLines',
    'NDJSON',
    'JSONStringsEachRow',
    'JSONCompactEachRow',
    'JSONCompactStringsEachRow',
    'TabSeparated',
    'TSV',
    'TabSeparatedRaw',
    'TSVRaw',
    'CSV',
    'RowBinary',
    'Native',
    'Values',
    'LineAsString',
  ].map((name) => name.toLowerCase()),
);

export type StatementKind = 'select' | 'insert' | 'other';

/** What kind of statement it is, by its first word. chDB streams the results of selects only. */
export function kindOf(sql: string): StatementKind {
  const word = /^[(\s]*([a-z]+)/i.exec(stripComments(sql))?.[1]?.toLowerCase();
  if (word === 'insert') return 'insert';
  return word === 'select' || word === 'with' ? 'select' : 'other';
}

/** The format that a statement asks for by itself, at its end. */
export function formatOf(sql: string): string | undefined {
  return /\bFORMAT\s+(\w+)\s*(?:SETTINGS\s[^;]*)?;?\s*$/i.exec(sql)?.[1];
}

/** True when a result in this format may be sent in pieces. */
export function isStreamable(format: string): boolean {
  return STREAMABLE.has(format.toLowerCase());
}
