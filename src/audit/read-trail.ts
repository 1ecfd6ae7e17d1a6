import { inTransaction, jsonText, type PostgresPool } from '../store/index.ts';
import type { Actor } from './actor.ts';
import { listAuditEvents, type AuditEventQuery } from './list-audit-events.ts';
import { recordAuditEvent } from './record-audit-event.ts';

/** One viewing of the trail is one event, however many pages it takes and however often a program polls. */
const VIEW_WINDOW_MINUTES = 15;

/**
 * Reads the trail for someone, and records that they did: "Audit Trail Viewed", once per actor and filter in 15 minutes.
 * A filter is what is looked for (type, actor, resource); the time range and the page do not make it another one,
 * or a program that polls with a moving startTime would fill the trail with its own reading.
 */
export async function readAuditTrail(
  pool: PostgresPool,
  actor: Actor,
  query: AuditEventQuery,
): Promise<Awaited<ReturnType<typeof listAuditEvents>>> {
  const page = await listAuditEvents(pool, query);
  const filter = Object.fromEntries(
    (['type', 'actor', 'resourceId', 'resourceType'] as const).flatMap((key) =>
      query[key] === undefined ? [] : [[key, query[key]]],
    ),
  );
  await inTransaction(pool, async (tx) => {
    // Two readings at the same moment: the second waits, and then sees the first one's event.
    await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
      `trail-view ${query.workspaceId} ${actor.id}`,
    ]);
    const { rows } = await tx.query<{ name: string; seen: boolean }>(
      `select name, exists (
         select from audit_events
         where workspace_id = $1 and actor_id = $2 and type = 'Audit Trail Viewed'
           and occurred_at > clock_timestamp() - $3 * interval '1 minute' and details->'filter' = $4::jsonb
       ) as seen from workspaces where id = $1`,
      [query.workspaceId, actor.id, VIEW_WINDOW_MINUTES, jsonText(filter)],
    );
    const [workspace] = rows;
    if (workspace === undefined || workspace.seen) return;
    await recordAuditEvent(tx, {
      workspaceId: query.workspaceId,
      type: 'Audit Trail Viewed',
      actor,
      resource: { type: 'workspace', id: query.workspaceId, name: workspace.name },
      details: {
        filter,
        ...(query.startTime === undefined ? {} : { startTime: query.startTime.toISOString() }),
        ...(query.endTime === undefined ? {} : { endTime: query.endTime.toISOString() }),
      },
    });
  });
  return page;
}
