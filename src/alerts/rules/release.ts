import { inTransaction, type PostgresPool } from '../../store/index.ts';
import type { ChannelDeps } from '../channels/channels.ts';
import { attemptDelivery, pendingDeliveries } from '../delivery/deliver.ts';
import { lockOverdue } from './hold.ts';
import { releaseHeld } from './release-held.ts';
import { expireSettings } from '../channels/settings.ts';

const CHUNK = 200;
/** A delivery that is due for so long has no workflow that cares for it. */
const ABANDONED_MS = 60_000;
// All at once: however many receivers do not answer, the next release is only one time-out away.
const DELIVERIES_PER_SWEEP = 30;

/**
 * Sends what was held and has no outcome in time: silence must never hide a hard failure. Needs PostgreSQL only, so a dead
 * worker or a dead Temporal does not stop it; may run in several processes at once. Also ends settings that have expired.
 * Returns how many alerts were released.
 */
export async function releaseOverdueAlerts(pool: PostgresPool, now: Date): Promise<number> {
  let released = await expireSettings(pool, now);
  for (;;) {
    const chunk = await inTransaction(pool, async (tx) => {
      const ids = await lockOverdue(tx, now, CHUNK);
      return { found: ids.length, released: await releaseHeld(tx, ids, 'no_outcome') };
    });
    released += chunk.released;
    if (chunk.found < CHUNK) return released;
  }
}

/**
 * What has to happen to alerts even where no workflow runs: releases what is overdue, and tries the deliveries that have been
 * due for a minute without anyone trying them. For a timer of a process that lives as long as people can look at alerts.
 */
export async function sweepAlerts(deps: ChannelDeps, now: Date): Promise<{ released: number; tried: number }> {
  const released = await releaseOverdueAlerts(deps.pool, now);
  const abandoned = await pendingDeliveries(deps.pool, DELIVERIES_PER_SWEEP, ABANDONED_MS);
  // One that throws (PostgreSQL gone, say) has its claim run out and is found again; the others go on.
  await Promise.allSettled(abandoned.map((id) => attemptDelivery(deps, id)));
  return { released, tried: abandoned.length };
}
