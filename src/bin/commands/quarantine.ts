import { findWorkspace } from '../../access/index.ts';
import { SYSTEM_ACTOR } from '../../audit/index.ts';
import { StartError } from '../../embedded/index.ts';
import { listQuarantined, redriveQuarantined } from '../../pipeline/index.ts';
import { createPool, inTransaction, type PostgresPool } from '../../store/index.ts';
import type { Context } from '../context.ts';
import { requireDatabaseUrl } from '../system/running.ts';

export interface QuarantineOptions {
  /** Slug or id; all workspaces where not given. */
  workspace?: string;
  /** The source's id. */
  source?: string;
}

const SHOWN = 1_000;

/** `trailmark quarantine list`: the events that could not be loaded, one a line, with since when and why. */
export async function runQuarantineList({ config }: Context, options: QuarantineOptions): Promise<void> {
  await withPool(await requireDatabaseUrl(config), async (pool) => {
    const events = await listQuarantined(pool, { ...(await scopeOf(pool, options)), limit: SHOWN });
    for (const event of events) {
      console.log(
        [event.quarantined_at.toISOString(), event.source_id, event.message_id, event.code, event.reason].join('  '),
      );
    }
    if (events.length === 0) console.log('No event is put aside.');
    if (events.length === SHOWN) console.log(`These are the oldest ${SHOWN}.`);
  });
}

/** `trailmark quarantine redrive`: puts them back into the event log. */
export async function runQuarantineRedrive({ config }: Context, options: QuarantineOptions): Promise<void> {
  await withPool(await requireDatabaseUrl(config), async (pool) => {
    const scope = await scopeOf(pool, options);
    const count = await inTransaction(
      pool,
      async (tx) => await redriveQuarantined(tx, { ...scope, actor: SYSTEM_ACTOR }),
    );
    console.log(
      `${count} ${count === 1 ? 'event is' : 'events are'} in the log again. What still can't be loaded comes back to the quarantine.`,
    );
  });
}

async function scopeOf(
  pool: PostgresPool,
  { workspace, source }: QuarantineOptions,
): Promise<{ workspaceId?: string; sourceId?: string }> {
  const found = workspace === undefined ? undefined : await findWorkspace(pool, workspace);
  if (workspace !== undefined && found === undefined) throw new StartError(`There is no workspace ${workspace}.`);
  return {
    ...(found === undefined ? {} : { workspaceId: found.id }),
    ...(source === undefined ? {} : { sourceId: source }),
  };
}

async function withPool(connectionString: string, work: (pool: PostgresPool) => Promise<void>): Promise<void> {
  const pool = createPool({
    connectionString,
    applicationName: 'trailmark-quarantine',
    max: 1,
    onError: () => undefined,
  });
  try {
    await work(pool);
  } finally {
    await pool.end();
  }
}
