import { sealStoredChannels } from '../alerts/index.ts';
import { maskStoredEvents } from '../audit/index.ts';
import { dropDeletedMappings, maskStoredView, readStoredSecrets, sealStoredSettings } from '../destinations/index.ts';
import type { Logger } from '../logger.ts';
import { createRedactor, type SecretBox } from '../security/index.ts';
import type { PostgresPool } from '../store/index.ts';
import { redactStoredAnswers } from '../tasks/index.ts';

const MASKED = 'mask-secrets-of-older-versions';

/**
 * Leaves no secret in PostgreSQL in plain. At every start it encrypts what an older version wrote, because one may have run until
 * now; once it also masks what older versions wrote of secrets into the trail, and takes them out of the answers of tools that
 * were kept. Every api and worker calls it, and however many do at once, it is done once.
 */
export async function sealSecrets(pool: PostgresPool, secretBox: SecretBox, logger: Logger): Promise<void> {
  // Before anything is sealed: of a deleted destination nothing is left to know its secrets by afterwards.
  const done = await pool.query('select from data_migrations where name = $1', [MASKED]);
  if (done.rowCount === 0) await maskOnce(pool, secretBox, logger);
  await dropDeletedMappings(pool);
  const sealed = (await sealStoredSettings(pool, secretBox)) + (await sealStoredChannels(pool, secretBox));
  if (sealed > 0) logger.info({ sealed }, 'settings of an older version are encrypted now');
}

async function maskOnce(pool: PostgresPool, secretBox: SecretBox, logger: Logger): Promise<void> {
  // One session holds the lock: a second program waits, and finds the work done.
  const client = await pool.connect();
  try {
    await client.query('select pg_advisory_lock(hashtextextended($1, 0))', [MASKED]);
    const done = await client.query('select from data_migrations where name = $1', [MASKED]);
    if (done.rowCount !== 0) return;
    let answers = 0;
    for await (const { destinationId, secrets } of readStoredSecrets(client, secretBox)) {
      answers += await redactStoredAnswers(client, destinationId, createRedactor(secrets));
    }
    const { rows } = await client.query<{ id: string; slug: string }>('select id, slug from destinations');
    const slugs = new Map(rows.map(({ id, slug }) => [id, slug]));
    const events = await maskStoredEvents(pool, (destinationId, view) => {
      const slug = slugs.get(destinationId);
      return slug === undefined ? view : maskStoredView(slug, view);
    });
    await client.query('insert into data_migrations (name) values ($1)', [MASKED]);
    if (answers + events > 0) logger.info({ answers, events }, 'secrets that an older version kept are masked now');
  } finally {
    await client.query('select pg_advisory_unlock(hashtextextended($1, 0))', [MASKED]).catch(() => undefined);
    client.release();
  }
}
