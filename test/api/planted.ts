import type { PostgresPool } from '../../src/store/index.ts';

/** Everything that was planted: none of it may be read anywhere. */
export const PLANTED = {
  shared: 'planted-shared-secret',
  authorization: 'planted-authorization',
  tenant: 'planted-tenant-header',
  path: 'planted-hook-path',
  query: 'planted-hook-query',
  user: 'planted-user-info',
  template: 'planted-in-template',
  channel: 'planted-channel-path',
  audience: 'planted-audience-token',
  createUrl: 'planted-create-path',
};

/** Every table as text, with what is bytes in the form in which a secret would be readable. */
export async function dumpTables(pool: PostgresPool): Promise<string> {
  const { rows } = await pool.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'public'`,
  );
  const texts: string[] = [];
  for (const { name } of rows) {
    const table = await pool.query<object>(`select * from ${name}`);
    texts.push(
      JSON.stringify(table.rows, (_, value: unknown) => {
        const bytes = value as { type?: string; data?: number[] } | null;
        return bytes?.type === 'Buffer' ? Buffer.from(bytes.data ?? []).toString('latin1') : value;
      }),
    );
  }
  return texts.join('\n');
}

/** The planted secrets, and others given, that stand in a text: as they are, in an address, or in base64. */
export function findPlanted(text: string, others: readonly string[] = []): string[] {
  return [...Object.values(PLANTED), ...others].filter((secret) =>
    [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').slice(0, -4)].some((form) =>
      text.includes(form),
    ),
  );
}
