import { Analytics } from '@segment/analytics-node';
import type { ShopMessage } from './shop.ts';

/**
 * Sends the shop's messages through Segment's own client, as any customer's server does, and returns how many were taken.
 * Message ids are fixed, so that sending again after a start that was interrupted adds nothing twice. Throws if one is refused.
 */
export async function sendShop(
  messages: readonly ShopMessage[],
  to: { host: string; writeKey: string },
  onProgress: (sent: number) => void,
): Promise<number> {
  const analytics = new Analytics({
    writeKey: to.writeKey,
    host: to.host,
    maxEventsInBatch: 100,
    flushInterval: 100,
    maxRetries: 5,
  });
  let taken = 0;
  const refused: string[] = [];
  analytics.on('error', (error) => {
    refused.push(error.reason instanceof Error ? error.reason.message : JSON.stringify(error));
  });
  const settled = (): void => {
    taken++;
  };
  for (const [index, message] of messages.entries()) {
    enqueue(analytics, message, `shop-${index}`, settled);
    // The client keeps everything in memory: a pause after each few batches lets it send.
    if (index % 1_000 === 999) {
      await analytics.flush();
      onProgress(taken);
    }
  }
  await analytics.closeAndFlush();
  onProgress(taken);
  if (refused.length > 0 || taken < messages.length) {
    throw new Error(
      `${messages.length - taken} of ${messages.length} events were not taken: ${refused[0] ?? 'no answer'}`,
    );
  }
  return taken;
}

function enqueue(
  analytics: Analytics,
  message: ShopMessage,
  messageId: string,
  settled: (error?: unknown) => void,
): void {
  const done = (error?: unknown): void => {
    if (error === undefined || error === null) settled();
  };
  const { timestamp } = message;
  switch (message.type) {
    case 'identify': {
      const { userId, anonymousId, traits } = message;
      analytics.identify(
        { userId, ...(anonymousId === undefined ? {} : { anonymousId }), traits, timestamp, messageId },
        done,
      );
      return;
    }
    case 'group':
      analytics.group(
        { userId: message.userId, groupId: message.groupId, traits: message.traits, timestamp, messageId },
        done,
      );
      return;
    case 'page':
      analytics.page({ ...identityOf(message), name: message.name, timestamp, messageId }, done);
      return;
    case 'track':
      analytics.track(
        { ...identityOf(message), event: message.event, properties: message.properties, timestamp, messageId },
        done,
      );
  }
}

function identityOf(message: { userId?: string; anonymousId?: string }): { userId: string } | { anonymousId: string } {
  return message.userId === undefined ? { anonymousId: message.anonymousId ?? '' } : { userId: message.userId };
}
