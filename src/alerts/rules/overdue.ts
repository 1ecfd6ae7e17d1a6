import type { Queryable } from '../../store/index.ts';

/** How much of the alerts should have happened so many seconds ago: releases of what is held, and tries at a delivery. */
export async function readOverdueAlerts(
  db: Queryable,
  afterSeconds: number,
): Promise<{ held: number; deliveries: number }> {
  const { rows } = await db.query<{ held: number; deliveries: number }>(
    `select
       (select count(*) from alerts where decision = 'held' and hold_until < now() - $1 * interval '1 second') as held,
       (select count(*) from alert_deliveries
        where status = 'pending' and next_attempt_at < now() - $1 * interval '1 second') as deliveries`,
    [afterSeconds],
  );
  return rows[0] ?? { held: 0, deliveries: 0 };
}
