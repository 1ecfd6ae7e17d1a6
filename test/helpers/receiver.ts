import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

interface ReceivedMessage {
  messageId: string;
  type: string;
  event?: string;
  userId?: string;
  [key: string]: unknown;
}

interface ReceivedRequest {
  /** 1 for the first. */
  number: number;
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: unknown;
  /** The messages in the body: what it is, or each of what it holds. */
  messages: ReceivedMessage[];
}

/** How one request is answered. */
export interface Reaction {
  status?: number;
  headers?: Record<string, string>;
  /** A text and bytes as they are, anything else as JSON. */
  body?: unknown;
  /** Byte by byte, each after so long. */
  trickleMs?: number;
  /** What is written to the connection in the place of an answer, before it is ended. */
  raw?: string | Uint8Array;
  /** Before the answer. */
  delayMs?: number;
  /** The answer waits for it. */
  until?: Promise<void>;
  /** No answer at all; or its head and the beginning of its body, and never the rest. */
  hang?: 'request' | 'body';
  /** The connection is reset: before an answer, or after its head. */
  reset?: 'request' | 'body';
}

/** Says how a request is answered; undefined is 200. */
export type Rule = (request: ReceivedRequest) => Reaction | undefined;

export interface Receiver {
  url: string;
  port: number;
  requests: ReceivedRequest[];
  /** The messages of the requests that were answered with 2xx, in their order. */
  accepted: ReceivedMessage[];
  counts(): { requests: number; messages: number; distinctMessages: number };
  /** From the next request on. */
  behave(rule: Rule): void;
  /** Resolves when a request that `matches` has come in, or has come in already. */
  received(matches: (request: ReceivedRequest) => boolean): Promise<ReceivedRequest>;
  close(): Promise<void>;
}

/** A real HTTP server on loopback that a destination sends to, and that fails on purpose. */
export async function startReceiver(rule: Rule = () => undefined): Promise<Receiver> {
  let current = rule;
  const requests: ReceivedRequest[] = [];
  const accepted: ReceivedMessage[] = [];
  const waiting = new Set<(request: ReceivedRequest) => void>();
  const sockets = new Set<Socket>();

  const receive = (incoming: IncomingMessage, answer: ServerResponse, text: string) => {
    const body = parse(text);
    const request: ReceivedRequest = {
      number: requests.length + 1,
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: incoming.headers,
      body,
      messages: messagesOf(body),
    };
    requests.push(request);
    const reaction = current(request) ?? {};
    const whole = reaction.hang === undefined && reaction.reset === undefined && reaction.raw === undefined;
    if ((reaction.status ?? 200) < 300 && whole) {
      accepted.push(...request.messages);
    }
    for (const notify of waiting) notify(request);
    setTimeout(
      () => void (reaction.until ?? Promise.resolve()).then(() => react(answer, reaction)),
      reaction.delayMs ?? 0,
    );
  };
  const server = createServer((incoming, answer) => {
    // A request that was aborted while it was being sent is no request.
    void readBody(incoming).then((text) => receive(incoming, answer, text), ignore);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    accepted,
    counts: () => ({
      requests: requests.length,
      messages: accepted.length,
      distinctMessages: new Set(accepted.map((message) => message.messageId)).size,
    }),
    behave: (next) => {
      current = next;
    },
    received: async (matches) => {
      const known = requests.find(matches);
      if (known !== undefined) return known;
      return await new Promise((resolve) => {
        const notify = (request: ReceivedRequest) => {
          if (!matches(request)) return;
          waiting.delete(notify);
          resolve(request);
        };
        waiting.add(notify);
      });
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** A rule that reacts to the first `count` requests only. */
export function failFirst(count: number, reaction: Reaction): Rule {
  return ({ number }) => (number <= count ? reaction : undefined);
}

/** A rule that refuses every request that holds one of these users' messages, as a strict API does. */
export function refuseUsers(userIds: readonly string[], reaction: Reaction = { status: 400 }): Rule {
  return ({ messages }) => (messages.some(({ userId }) => userIds.includes(userId ?? '')) ? reaction : undefined);
}

function ignore(): void {}

async function readBody(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += String(chunk);
  return text;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function messagesOf(body: unknown): ReceivedMessage[] {
  return (Array.isArray(body) ? body : [body]).filter(
    (item): item is ReceivedMessage => typeof item === 'object' && item !== null && 'messageId' in item,
  );
}

function react(answer: ServerResponse, reaction: Reaction): void {
  const { status, headers, body, hang, reset, raw, trickleMs } = reaction;
  if (reset === 'request') answer.socket?.resetAndDestroy();
  else if (raw !== undefined) answer.socket?.end(raw);
  else if (hang !== 'request') {
    const asIs = typeof body === 'string' || body instanceof Uint8Array;
    const text = asIs ? Buffer.from(body as string) : JSON.stringify(body ?? { ok: (status ?? 200) < 300 });
    answer.writeHead(status ?? 200, { 'content-type': 'application/json', ...headers });
    if (trickleMs !== undefined) trickle(answer, Buffer.from(text), trickleMs);
    else if (hang === undefined && reset === undefined) answer.end(text);
    else {
      answer.write(text.slice(0, 1));
      if (reset === 'body') setTimeout(() => answer.socket?.resetAndDestroy(), 10);
    }
  }
}

function trickle(answer: ServerResponse, bytes: Buffer, everyMs: number): void {
  let at = 0;
  const timer = setInterval(() => {
    if (at === bytes.length || answer.destroyed) {
      clearInterval(timer);
      answer.end();
    } else answer.write(bytes.subarray(at, ++at));
  }, everyMs);
}
