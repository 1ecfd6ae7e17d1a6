import { countEventWarnings } from '../../metrics/index.ts';
import { onCommit, type Queryable } from '../../store/index.ts';
import type { EventWarning } from './event-warnings.ts';

/** A warning of one event: in one of its spaces, or ('') in all of them. */
export interface PlacedWarning {
  sourceId: string;
  spaceId: string;
  messageId: string;
  receivedAt: string;
  warning: EventWarning;
}

/** How often a warning was given about a source's events, and the last of them. */
export interface WarningCountRow {
  space_id: string;
  code: string;
  field: string;
  count: number;
  first_at: Date;
  last_at: Date;
  last_message_id: string;
  last_message: string;
}

/** Adds warnings to what their sources' owners see. In the transaction in which the events are loaded: each counts once. */
export async function countWarnings(tx: Queryable, warnings: readonly PlacedWarning[]): Promise<void> {
  if (warnings.length === 0) return;
  await tx.query(
    `with given as (
       select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
         with ordinality as w (source_id, space_id, code, field, message_id, message, received_at, place)
     )
     insert into event_warnings
       (source_id, space_id, code, field, count, first_at, last_at, last_message_id, last_message)
     select source_id, space_id, code, field, count(*), min(received_at), max(received_at),
            (array_agg(message_id order by place desc))[1], (array_agg(message order by place desc))[1]
     from given group by source_id, space_id, code, field order by source_id, space_id, code, field
     on conflict (source_id, space_id, code, field) do update set
       count = event_warnings.count + excluded.count,
       first_at = least(event_warnings.first_at, excluded.first_at),
       last_at = greatest(event_warnings.last_at, excluded.last_at),
       last_message_id = excluded.last_message_id, last_message = excluded.last_message`,
    [
      warnings.map(({ sourceId }) => sourceId),
      warnings.map(({ spaceId }) => spaceId),
      warnings.map(({ warning }) => warning.code),
      warnings.map(({ warning }) => warning.field),
      warnings.map(({ messageId }) => messageId),
      warnings.map(({ warning }) => warning.message),
      warnings.map(({ receivedAt }) => receivedAt),
    ],
  );
  onCommit(tx, () => {
    for (const { warning } of warnings) countEventWarnings(warning.code);
  });
}

/** What was noticed of a source's events so far, the latest first. */
export async function listSourceWarnings(db: Queryable, sourceId: string): Promise<WarningCountRow[]> {
  const { rows } = await db.query<WarningCountRow>(
    `select space_id, code, field, count, first_at, last_at, last_message_id, last_message from event_warnings
     where source_id = $1 order by last_at desc, space_id, code, field`,
    [sourceId],
  );
  return rows;
}
