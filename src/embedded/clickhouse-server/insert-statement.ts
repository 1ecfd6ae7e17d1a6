import type { RawInsertFormat } from 'chdb';

export interface InsertStatement {
  table: string;
  columns?: string[];
  format: RawInsertFormat;
}

const RAW_FORMATS: Record<string, RawInsertFormat> = Object.fromEntries(
  (
    [
      'JSONEachRow',
      'JSONCompactEachRow',
      'CSV',
      'CSVWithNames',
      'TSV',
      'TabSeparated',
      'TSVWithNames',
      'TabSeparatedWithNames',
    ] as const
  ).map((format) => [format.toLowerCase(), format]),
);
const PLAIN_NAME = /^\w+(\.\w+)*$/;

/**
 * Takes `INSERT INTO db.table (a, b) FORMAT JSONEachRow` apart, which is what @clickhouse/client sends. undefined for any
 * other shape, name or format: those go to the engine as text.
 */
export function parseInsert(sql: string): InsertStatement | undefined {
  const parts = /^\s*INSERT\s+INTO\s+(?:TABLE\s+)?([\w.`"]+)\s*(?:\(([^()]*)\))?\s+FORMAT\s+(\w+)\s*;?\s*$/i.exec(sql);
  if (parts === null) return undefined;
  const table = plain(parts[1] ?? '');
  const columns = parts[2]?.split(',').map((name) => plain(name.trim()));
  const format = RAW_FORMATS[(parts[3] ?? '').toLowerCase()];
  if (format === undefined || table === undefined || columns?.includes(undefined) === true) return undefined;
  return { table, format, ...(columns === undefined ? {} : { columns: columns as string[] }) };
}

/** A name without its quotes, if it needs none. */
function plain(name: string): string | undefined {
  const bare = name.replaceAll(/[`"]/g, '');
  return PLAIN_NAME.test(bare) ? bare : undefined;
}
