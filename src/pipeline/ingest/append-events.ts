import type { Queryable } from '../../store/index.ts';
import type { AcceptedEvent } from './message.ts';

/** An event with the source that it came in by. */
export interface LogEntry extends Omit<AcceptedEvent, 'warnings'> {
  workspaceId: string;
  sourceId: string;
}

/** The events that came in together, under one write key. */
export interface LogRequest {
  /** The hash of the key: see hashToken. */
  keyHash: Buffer;
  entries: readonly LogEntry[];
}

/** What became of requests: how many events were new, and whose write key lets nothing in any more. */
export interface Appended {
  events: number;
  refused: ReadonlySet<LogRequest>;
}

/**
 * Appends the events of requests to the log in one statement, in their order. A request whose write key is revoked, or whose source
 * is disabled or deleted, is refused by the same statement, whatever was known of the key before; the others are not concerned. An
 * event whose messageId the source has sent already, as long as the log keeps it, is left out. Resolves when all of it is durable.
 */
export async function appendEvents(db: Queryable, requests: readonly LogRequest[]): Promise<Appended> {
  const keys = new Map<string, { nr: number; hash: Buffer }>();
  const entries: LogEntry[] = [];
  const keyOf: number[] = [];
  for (const request of requests) {
    const { nr } = numbered(keys, request.keyHash);
    for (const entry of request.entries) {
      entries.push(entry);
      keyOf.push(nr);
    }
  }
  if (entries.length === 0) return { events: 0, refused: new Set() };
  // The events go as one JSON array and are cut out of it by PostgreSQL, text by text: quoting each of them for an array
  // of PostgreSQL's costs more than half of the time. The json type keeps what jsonb refuses, \u0000 for one.
  const { rows } = await db.query<{ events: number; refused: number[] }>(
    `with refused as (
       select asked.nr::integer from unnest($1::bytea[]) with ordinality as asked (hash, nr)
       where not exists (
         select from write_keys k join sources s on s.id = k.source_id
         where k.key_hash = asked.hash and k.revoked_at is null and s.enabled and s.deleted_at is null
       )
     ), appended as (
       insert into event_log (workspace_id, source_id, message_id, type, event)
       select workspace_id, source_id, message_id, type, event
       from rows from (unnest($2::integer[], $3::text[], $4::text[], $5::text[], $6::text[]), json_array_elements($7::json))
         as entry (key, workspace_id, source_id, message_id, type, event)
       where key <> all (array(select nr from refused))
       on conflict (source_id, message_id) do nothing
       returning true
     )
     select (select count(*)::integer from appended) as events, array(select nr from refused) as refused`,
    [
      [...keys.values()].map(({ hash }) => hash),
      keyOf,
      entries.map((entry) => entry.workspaceId),
      entries.map((entry) => entry.sourceId),
      entries.map((entry) => entry.messageId),
      entries.map((entry) => entry.type),
      `[${entries.map((entry) => entry.json).join(',')}]`,
    ],
  );
  const { events = 0, refused = [] } = rows[0] ?? {};
  const shut = new Set(refused);
  return { events, refused: new Set(requests.filter(({ keyHash }) => shut.has(numbered(keys, keyHash).nr))) };
}

/** The key with its number, from 1 in the order in which they come. */
function numbered(keys: Map<string, { nr: number; hash: Buffer }>, hash: Buffer): { nr: number; hash: Buffer } {
  const text = hash.toString('base64');
  const known = keys.get(text) ?? { nr: keys.size + 1, hash };
  keys.set(text, known);
  return known;
}
