/** What of a message was taken in another way than it says. Stable: kept with the event, counted for its source. */
type EventWarningCode = 'time_in_future' | 'time_out_of_range' | 'id_blocked' | 'identifies_nobody';

/** One thing about an event that its sender should know: `field` is what it is about, `message` says what came of it. */
export interface EventWarning {
  code: EventWarningCode;
  field: string;
  message: string;
}

/** The field of an event in the log that keeps the warnings of ingest. What a client sends by that name is not kept. */
export const WARNINGS_FIELD = '_warnings';
