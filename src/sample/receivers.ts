import type { IncomingMessage } from 'node:http';
import { startListener } from '../listen/index.ts';

/** What a receiver has seen. messages counts every one, distinctMessages each message id once. */
export interface ReceiverCounts {
  requests: number;
  messages: number;
  distinctMessages: number;
}

export interface Receiver {
  url: string;
  port: number;
  counts(): ReceiverCounts;
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 32 * 1024 * 1024;

type Answer = (request: { number: number; messageIds: readonly string[] }) => { status: number; body: string };

/** A tool that fails now and then: one new request in eight, and the very first, is answered 503 once, and taken when it comes again. */
export async function startShakyReceiver(port = 0): Promise<Receiver> {
  const refused = new Set<string>();
  let fresh = 0;
  return await startReceiver(port, ({ messageIds }) => {
    const key = messageIds[0] ?? '';
    if (!refused.has(key) && fresh++ % 8 === 0) {
      refused.add(key);
      return { status: 503, body: 'try again in a moment' };
    }
    return { status: 200, body: 'ok' };
  });
}

/** A tool that rejects for good: it knows no credentials. */
export async function startRejectingReceiver(port = 0): Promise<Receiver> {
  return await startReceiver(port, () => ({ status: 401, body: 'unknown API key' }));
}

async function startReceiver(port: number, answer: Answer): Promise<Receiver> {
  const seen = new Set<string>();
  let requests = 0;
  let messages = 0;
  const listener = await startListener({
    host: '127.0.0.1',
    port,
    refuseWebPages: true,
    // Nobody reads what a tool of a sample could say of a request that breaks off.
    onError: () => undefined,
    answer: async (request, response) => {
      const text = await readText(request);
      if (text === undefined) {
        response.writeHead(413, { connection: 'close' }).end();
        return;
      }
      const messageIds = messageIdsOf(text);
      const { status, body } = answer({ number: ++requests, messageIds });
      if (status < 300) {
        messages += messageIds.length;
        for (const id of messageIds) seen.add(id);
      }
      response.writeHead(status, { 'content-type': 'text/plain' }).end(body);
    },
  });
  return {
    url: `http://127.0.0.1:${listener.port}/`,
    port: listener.port,
    counts: () => ({ requests, messages, distinctMessages: seen.size }),
    close: async () => await listener.closeNow(),
  };
}

/** undefined where it is longer than any batch of ours. */
async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The message ids of a webhook's body: one event, or a batch of them. */
function messageIdsOf(body: string): string[] {
  try {
    const parsed: unknown = JSON.parse(body);
    const events = Array.isArray(parsed) ? parsed : [parsed];
    return events.flatMap((event: unknown) => {
      const id = typeof event === 'object' && event !== null && 'messageId' in event ? event.messageId : undefined;
      return typeof id === 'string' ? [id] : [];
    });
  } catch {
    return [];
  }
}
