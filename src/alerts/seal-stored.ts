import type { SecretBox } from '../security/index.ts';
import { inTransaction, type PostgresPool } from '../store/index.ts';
import { sealChannelUrl } from './channels.ts';

/**
 * Encrypts the addresses of channels that an older version left in plain, and takes the secrets of deleted ones away. Returns how
 * many rows it sealed.
 */
export async function sealStoredChannels(pool: PostgresPool, secretBox: SecretBox): Promise<number> {
  return await inTransaction(pool, async (tx) => {
    const { rows } = await tx.query<{ id: string; url: string; deleted: boolean }>(
      'select id, url, deleted_at is not null as deleted from channels where url_box is null for update',
    );
    for (const { id, url, deleted } of rows) {
      await tx.query(
        `update channels set url = null, url_box = $2, secret_box = case when $3 then '' else secret_box end where id = $1`,
        [id, deleted ? Buffer.alloc(0) : sealChannelUrl(secretBox, id, url), deleted],
      );
    }
    return rows.length;
  });
}
