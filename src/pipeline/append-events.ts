import type { Queryable } from '../store/index.ts';
import type { AcceptedEvent } from './message.ts';

/** An event with the source that it came in by. */
export interface LogEntry extends Omit<AcceptedEvent, 'warnings'> {
  workspaceId: string;
  sourceId: string;
}

/**
 * Appends events to the log in one statement, in their order. An event whose messageId the source has sent already, as long
 * as the log keeps it, is left out. Resolves when they are durable, with how many were new.
 */
export async function appendEvents(db: Queryable, entries: readonly LogEntry[]): Promise<number> {
  if (entries.length === 0) return 0;
  // The events go as one JSON array and are cut out of it by PostgreSQL, text by text: quoting each of them for an array
  // of PostgreSQL's costs more than half of the time. The json type keeps what jsonb refuses, \u0000 for one.
  const { rowCount } = await db.query(
    `insert into event_log (workspace_id, source_id, message_id, type, event)
     select workspace_id, source_id, message_id, type, event
     from rows from (unnest($1::text[], $2::text[], $3::text[], $4::text[]), json_array_elements($5::json))
       as entry (workspace_id, source_id, message_id, type, event)
     on conflict (source_id, message_id) do nothing`,
    [
      entries.map((entry) => entry.workspaceId),
      entries.map((entry) => entry.sourceId),
      entries.map((entry) => entry.messageId),
      entries.map((entry) => entry.type),
      `[${entries.map((entry) => entry.json).join(',')}]`,
    ],
  );
  return rowCount ?? 0;
}
