import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

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
  const server = createServer((request, response) => {
    void receive(request, response);
  });
  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const messageIds = messageIdsOf(await readText(request));
    const { status, body } = answer({ number: ++requests, messageIds });
    if (status < 300) {
      messages += messageIds.length;
      for (const id of messageIds) seen.add(id);
    }
    response.writeHead(status, { 'content-type': 'text/plain' }).end(body);
  }
  await listen(server, port);
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${bound}/`,
    port: bound,
    counts: () => ({ requests, messages, distinctMessages: seen.size }),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
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
