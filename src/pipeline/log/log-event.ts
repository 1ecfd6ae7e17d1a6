import { checkLogEvent, type LogEvent } from './check-log-event.ts';
import { parseJson } from '../../exact-json.ts';
import { notAfterArrival } from '../ingest/event-time.ts';
import { WARNINGS_FIELD, type EventWarning } from '../ingest/event-warnings.ts';

/** An event of the log, with what ingest or the log itself says about it. */
export interface ReadLogEvent {
  event: LogEvent;
  warnings: EventWarning[];
}

/**
 * Reads an event of the log. Its time is held to its arrival here too: the log may be older than that rule. Throws
 * UnloadableEventError.
 */
export function readLogEvent(json: string): ReadLogEvent {
  const event = checkLogEvent(parseJson(json));
  const given: unknown = event[WARNINGS_FIELD];
  const warnings = Array.isArray(given) ? (given as EventWarning[]) : [];
  if (event.timestamp <= event.receivedAt) return { event, warnings };
  const { ms, warning } = notAfterArrival(Date.parse(event.timestamp), Date.parse(event.receivedAt));
  if (warning === undefined) return { event, warnings };
  return { event: { ...event, timestamp: new Date(ms).toISOString() }, warnings: [...warnings, warning] };
}

/** A message's name as audiences know it: page and screen calls are named as Segment's audiences name them. */
export function eventName(event: LogEvent): string {
  switch (event.type) {
    case 'track':
      return event.event ?? '';
    case 'page':
      return 'Page Viewed';
    case 'screen':
      return 'Screen Viewed';
    case 'identify':
    case 'group':
    case 'alias':
      return '';
    default:
      return event.type satisfies never;
  }
}

/**
 * What is kept as a message's properties: those of a track; of a page or screen also its name and category, as Segment's
 * browser client puts them there; of the others what they say besides who it is.
 */
export function eventProperties(event: LogEvent): Record<string, unknown> {
  switch (event.type) {
    case 'track':
      return event.properties ?? {};
    case 'page':
    case 'screen':
      return {
        ...event.properties,
        ...(event.name ? { name: event.name } : {}),
        ...(event.category ? { category: event.category } : {}),
      };
    case 'identify':
      return { traits: event.traits ?? {} };
    case 'group':
      return { groupId: event.groupId, traits: event.traits ?? {} };
    case 'alias':
      return { previousId: event.previousId };
    default:
      return event.type satisfies never;
  }
}
