import type { OutgoingMessage } from '../../src/destinations/index.ts';
import type { SegmentMessage } from '../../src/destinations/delivery/messages.ts';
import { WrittenEvents } from '../../src/destinations/delivery/written-events.ts';

/** Events as they are sent, one change each; also such as no messageBuilder makes. */
export function outgoing(events: readonly object[]): OutgoingMessage[] {
  const written = new WrittenEvents();
  const messages = events.map((event, idx) => ({
    idx,
    event: event as SegmentMessage,
    written,
    place: written.add(JSON.stringify(event)),
  }));
  written.seal();
  return messages;
}
