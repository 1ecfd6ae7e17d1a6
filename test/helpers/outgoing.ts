import type { OutgoingMessage } from '../../src/destinations/index.ts';
import type { SegmentMessage } from '../../src/destinations/messages.ts';
import { WrittenEvents } from '../../src/destinations/written-events.ts';

/** Events as they are sent, one change each; also such as no messageBuilder makes. */
export function outgoing(events: readonly object[]): OutgoingMessage[] {
  const written = new WrittenEvents(events.map((event) => JSON.stringify(event)));
  return events.map((event, place) => ({ idx: place, event: event as SegmentMessage, written, place }));
}
