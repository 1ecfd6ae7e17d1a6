import { recordAuditEvents, SYSTEM_ACTOR, type Actor } from '../../audit/index.ts';
import { countQuarantinedEvents } from '../../metrics/index.ts';
import { onCommit, type Queryable } from '../../store/index.ts';
import type { LogPlace } from './consumer-lease.ts';

/** An event that can't be loaded: its place in the log, a stable code, and why. */
export interface UnloadableEvent extends LogPlace {
  code: string;
  reason: string;
}

export interface QuarantinedEventRow {
  source_id: string;
  message_id: string;
  workspace_id: string;
  type: string;
  code: string;
  reason: string;
  /** How often it came here: more than once where it was redriven. */
  tries: number;
  received_at: Date;
  quarantined_at: Date;
}

const COLUMNS = 'source_id, message_id, workspace_id, type, code, reason, tries, received_at, quarantined_at';

// An audit event names so many of them; the rest are in the list.
const NAMED = 10;

/**
 * Puts events aside, in the transaction in which the loader passes them, and tells each source's workspace. An event that was
 * there before is there again.
 */
export async function quarantineEvents(tx: Queryable, events: readonly UnloadableEvent[]): Promise<void> {
  if (events.length === 0) return;
  const { rows } = await tx.query<QuarantinedEventRow>(
    `insert into event_quarantine (source_id, message_id, workspace_id, type, event, code, reason, received_at)
     select l.source_id, l.message_id, l.workspace_id, l.type, l.event, e.code, e.reason, l.received_at
     from unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) as e (xid, position, code, reason)
     join event_log l on l.xid = e.xid::xid8 and l.position = e.position
     order by l.xid, l.position
     on conflict (source_id, message_id) do update set
       event = excluded.event, code = excluded.code, reason = excluded.reason,
       tries = event_quarantine.tries + 1, quarantined_at = now()
     returning ${COLUMNS}`,
    [
      events.map(({ xid }) => xid),
      events.map(({ position }) => position),
      events.map(({ code }) => code),
      events.map(({ reason }) => reason),
    ],
  );
  await tell(tx, 'Events Quarantined', rows, SYSTEM_ACTOR);
  onCommit(tx, () => {
    for (const { code } of rows) countQuarantinedEvents(code);
  });
}

/** The events of a workspace, or of all, that are put aside: the oldest first, `limit` at most. */
export async function listQuarantined(
  db: Queryable,
  input: { workspaceId?: string; sourceId?: string; limit: number },
): Promise<QuarantinedEventRow[]> {
  const { rows } = await db.query<QuarantinedEventRow>(
    `select ${COLUMNS} from event_quarantine
     where ($1::text is null or workspace_id = $1) and ($2::text is null or source_id = $2)
     order by quarantined_at, source_id, message_id limit $3`,
    [input.workspaceId ?? null, input.sourceId ?? null, input.limit],
  );
  return rows;
}

/** How many events are put aside, and since when the oldest of them is. */
export async function countQuarantined(db: Queryable): Promise<{ events: number; oldestSeconds: number }> {
  const { rows } = await db.query<{ events: number; seconds: number }>(
    `select count(*) as events, coalesce(extract(epoch from now() - min(quarantined_at)), 0)::float8 as seconds
     from event_quarantine`,
  );
  const { events = 0, seconds = 0 } = rows[0] ?? {};
  return { events, oldestSeconds: seconds };
}

/**
 * Puts events back into the log, at its end: they are loaded as if they had come just now, with the times that they have. What
 * still can't be loaded comes back to the quarantine. Gives how many went. In a transaction.
 */
export async function redriveQuarantined(
  tx: Queryable,
  input: { workspaceId?: string; sourceId?: string; messageIds?: readonly string[]; actor: Actor },
): Promise<number> {
  const { rows } = await tx.query<QuarantinedEventRow>(
    `select ${COLUMNS} from event_quarantine
     where ($1::text is null or workspace_id = $1) and ($2::text is null or source_id = $2)
       and ($3::text[] is null or message_id = any($3))
     order by quarantined_at, source_id, message_id for update`,
    [input.workspaceId ?? null, input.sourceId ?? null, input.messageIds ?? null],
  );
  if (rows.length === 0) return 0;
  const keys = [rows.map((row) => row.source_id), rows.map((row) => row.message_id)];
  // The log may still have it, as what refuses the same message a second time.
  await tx.query(
    `delete from event_log l using unnest($1::text[], $2::text[]) as k (source_id, message_id)
     where l.source_id = k.source_id and l.message_id = k.message_id`,
    keys,
  );
  await tx.query(
    `insert into event_log (workspace_id, source_id, message_id, type, event, received_at)
     select q.workspace_id, q.source_id, q.message_id, q.type, q.event, q.received_at
     from unnest($1::text[], $2::text[]) with ordinality as k (source_id, message_id, place)
     join event_quarantine q on q.source_id = k.source_id and q.message_id = k.message_id order by k.place`,
    keys,
  );
  await tx.query(
    `delete from event_quarantine q using unnest($1::text[], $2::text[]) as k (source_id, message_id)
     where q.source_id = k.source_id and q.message_id = k.message_id`,
    keys,
  );
  await tell(tx, 'Events Redriven', rows, input.actor);
  return rows.length;
}

/** One audit event for each source. The log may name a workspace or source that there is not: then nobody is told. */
async function tell(
  tx: Queryable,
  type: 'Events Quarantined' | 'Events Redriven',
  events: readonly QuarantinedEventRow[],
  actor: Actor,
): Promise<void> {
  const { rows: sources } = await tx.query<{ id: string; workspace_id: string; name: string }>(
    'select id, workspace_id, name from sources where id = any($1) order by id',
    [[...new Set(events.map((event) => event.source_id))]],
  );
  await recordAuditEvents(
    tx,
    sources.map((source) => {
      const own = events.filter((event) => event.source_id === source.id);
      return {
        workspaceId: source.workspace_id,
        type,
        actor,
        outcome: type === 'Events Quarantined' ? 'failure' : 'success',
        resource: { type: 'source', id: source.id, name: source.name },
        details: {
          count: own.length,
          codes: [...new Set(own.map(({ code }) => code))],
          messageIds: own.slice(0, NAMED).map((event) => event.message_id),
        },
      };
    }),
  );
}
