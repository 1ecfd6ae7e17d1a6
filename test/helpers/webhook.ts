import { afterEach, beforeEach } from 'vitest';
import type { JsonObject, OpenDestination, OutgoingMessage } from '../../src/destinations/index.ts';
import { outgoing } from './outgoing.ts';
import { startReceiver, type Receiver } from './receiver.ts';

/** Starts a receiver for each test of a file, and gives it to `use`. */
export function receiverForEachTest(use: (receiver: Receiver) => void): void {
  let receiver: Receiver;
  beforeEach(async () => {
    receiver = await startReceiver();
    use(receiver);
  });
  afterEach(async () => {
    await receiver.close();
  });
}

/** A webhook at `url` with one subscription, opened for sending. */
export function openWebhook(
  url: string,
  mapping: JsonObject,
  { workspaceId = 'wrk_1', trigger = 'type = "track"' } = {},
): OpenDestination {
  const subscriptions = [{ id: 'sub_1', action: 'send', trigger, mapping: { url, method: 'POST', ...mapping } }];
  return { id: 'dst_1', workspaceId, slug: 'webhook', name: 'Hook', settings: {}, subscriptions };
}

/** A message of each of so many people: m-0 of u0, and so on. */
export function people(count: number): OutgoingMessage[] {
  return outgoing(
    Array.from({ length: count }, (_, idx) => ({ type: 'track', messageId: `m-${idx}`, userId: `u${idx}` })),
  );
}
