import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { extractOf } from './extracts.ts';
import type { Random } from './random.ts';

/** One time that a receiver took a message: it counts from then on, whatever is answered. */
export interface Taking {
  messageId: string;
  computationId: string;
  /** The user id, or the anonymous id of someone without one. */
  user: string;
  type: string;
  /** JSON: the value that it says the user has, `false` or `null` for none. */
  value: string;
  /** A hash of the whole message: a repetition has to be the same. */
  bytes: string;
  /** Milliseconds since 1970: when the request had come in whole. */
  takenAt: number;
  /** It took it, and then failed on purpose: that the message comes again is the receiver's own doing. */
  failed: boolean;
  /** The number of the request that it came in. */
  request: number;
}

/** One request that came in, whatever became of it. */
export interface Received {
  path: string;
  /** Milliseconds since 1970: when its head was there. */
  arrivedAt: number;
  /** The extracts whose messages are in it; none where an audience is made. */
  extracts: string[];
}

/** A request that a receiver has taken and not answered, because the driver asked it to hold the next one. */
export interface Held {
  /** Answers 200, as if nothing had happened. */
  answer(): void;
}

/** Where a tool that keeps audiences of its own is asked to make one. */
export const AUDIENCES_PATH = '/audiences';

type RequestKind = 'audience' | 'batch';

type Reaction =
  | 'good'
  | 'slow'
  | 'unavailable'
  | 'takes, then unavailable'
  | 'rate limited'
  | 'reset'
  | 'takes, then reset'
  | 'hangs'
  | 'takes, then hangs'
  | 'unauthorized';

/** How often a receiver reacts how. Nearly a third of the requests fails in one way or another. */
const MOODS: Readonly<Record<Reaction, number>> = {
  good: 66,
  slow: 12,
  unavailable: 5,
  'takes, then unavailable': 4,
  'rate limited': 4,
  reset: 3,
  'takes, then reset': 3,
  hangs: 0.6,
  'takes, then hangs': 0.6,
  unauthorized: 0.3,
};

// A person whom the receiver refuses for a while: the batch is answered 400, and has to be split until it is found.
const REFUSAL_MS = 4_000;
const REFUSALS = 0.3;
// The request of a client that is gone is not held any longer.
const HANG_MS = 12_000;

interface Message {
  messageId: string;
  type: string;
  event?: string;
  userId?: string;
  anonymousId?: string;
  properties?: Record<string, unknown>;
  traits?: Record<string, unknown>;
  context: {
    personas: { computation_id: string; computation_key: string };
    traits?: { email?: string };
  };
}

/** A tool that we send to: a real HTTP server that keeps who is in which audience, by the id it is told, and fails at random. */
export class Receiver {
  readonly name: string;
  readonly url: string;
  /** Of each computation, by `computation id, type of message`: the value of each user. */
  readonly state = new Map<string, Map<string, unknown>>();
  /** The same keys: the e-mail address that came with each user the last time, null for none. */
  readonly emails = new Map<string, Map<string, string | null>>();
  readonly takings: Taking[] = [];
  readonly received: Received[] = [];
  readonly reactions = new Map<string, number>();
  /** Who wants to have the next request of a kind, instead of its being answered. */
  holder: { kind: RequestKind; hold: (held: Held) => void } | undefined;
  readonly #close: () => Promise<void>;
  readonly #random: Random;
  readonly #startedAt = Date.now();
  #good = false;
  #failNext = false;
  #slowUntil = 0;
  #requests = 0;

  private constructor(name: string, random: Random, url: string, close: () => Promise<void>) {
    this.name = name;
    this.url = url;
    this.#random = random;
    this.#close = close;
  }

  static async start(name: string, random: Random): Promise<Receiver> {
    const sockets = new Set<Socket>();
    const server = createServer((request, response) => {
      // A client that is killed breaks its request off.
      receiver.#receive(request, response).catch(() => response.destroy());
    });
    server.keepAliveTimeout = 60_000;
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const receiver = new Receiver(name, random, `http://127.0.0.1:${port}`, async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    });
    return receiver;
  }

  /** From now on it takes everything, at once. */
  becomeGood(): void {
    this.#good = true;
    this.#failNext = false;
  }

  /** The next request is answered 503. */
  failNext(): void {
    this.#failNext = true;
  }

  /** For so long it takes everything, and lets each request wait for its answer. */
  beSlow(forMs: number): void {
    this.#slowUntil = Date.now() + forMs;
  }

  async close(): Promise<void> {
    await this.#close();
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const received: Received = { path: request.url ?? '', arrivedAt: Date.now(), extracts: [] };
    this.received.push(received);
    const text = await readText(request);
    const takenAt = Date.now();
    const number = ++this.#requests;
    const kind = received.path === AUDIENCES_PATH ? 'audience' : 'batch';
    const messages = kind === 'audience' ? [] : messagesOf(text);
    received.extracts = [...new Set(messages.map(({ messageId }) => extractOf(messageId)))];
    // The audience of a name is the same one, however often it is made.
    const body = kind === 'audience' ? { externalId: `audience-${nameIn(text)}` } : { ok: true };
    const take = (failed: boolean): void => {
      for (const message of messages) this.#take(message, takenAt, number, failed);
    };
    if (this.holder?.kind === kind) {
      take(false);
      this.#count('held');
      this.holder.hold({ answer: () => respond(response, 200, body) });
      return;
    }
    await this.#react(this.#mood(messages), response, take, body);
  }

  #mood(messages: readonly Message[]): Reaction | 'refuses' {
    if (this.#failNext) {
      this.#failNext = false;
      return 'unavailable';
    }
    const mood = this.#random.weighted(MOODS);
    if (Date.now() < this.#slowUntil) return 'slow';
    if (this.#good) return 'good';
    const refused = this.#refusedNow();
    return refused !== null && messages.some(({ userId }) => userId === refused) ? 'refuses' : mood;
  }

  /** Whom it refuses just now: told from the seed and the time since it started, so that a batch which is split meets the same. */
  #refusedNow(): string | null {
    const window = Math.floor((Date.now() - this.#startedAt) / REFUSAL_MS);
    const random = this.#random.fork(`refusal ${window}`);
    return random.chance(REFUSALS) ? `person-${random.int(10)}` : null;
  }

  async #react(
    mood: Reaction | 'refuses',
    response: ServerResponse,
    take: (failed: boolean) => void,
    body: unknown,
  ): Promise<void> {
    this.#count(mood);
    switch (mood) {
      case 'good':
      case 'slow': {
        take(false);
        if (mood === 'slow') await sleep(200 + this.#random.int(1_300));
        respond(response, 200, body);
        return;
      }
      case 'takes, then unavailable':
        take(true);
        respond(response, 500, { error: 'on purpose, after taking it' });
        return;
      case 'unavailable':
        respond(response, this.#random.pick([500, 502, 503, 504]), { error: 'on purpose' });
        return;
      case 'rate limited':
        respond(response, 429, { error: 'on purpose' }, { 'retry-after': '1' });
        return;
      case 'unauthorized':
        respond(response, 401, { error: 'on purpose' });
        return;
      case 'refuses':
        respond(response, 400, { error: 'someone in this batch is refused' });
        return;
      case 'takes, then reset':
      case 'reset':
        if (mood !== 'reset') take(true);
        response.socket?.resetAndDestroy();
        return;
      case 'takes, then hangs':
      case 'hangs':
        if (mood !== 'hangs') take(true);
        setTimeout(() => response.destroy(), HANG_MS).unref();
        return;
      default:
        mood satisfies never;
    }
  }

  #take(message: Message, takenAt: number, request: number, failed: boolean): void {
    const { computation_id: computationId, computation_key: key } = message.context.personas;
    const user = message.userId ?? message.anonymousId ?? '';
    const stateKey = `${computationId} ${message.type}`;
    const users = this.state.get(stateKey) ?? new Map<string, unknown>();
    this.state.set(stateKey, users);
    const value = (message.type === 'identify' ? message.traits : message.properties)?.[key];
    // An audience says false and a trait null for who is not in it any more.
    if (value === false || value === null) users.delete(user);
    else users.set(user, value);
    const emails = this.emails.get(stateKey) ?? new Map<string, string | null>();
    this.emails.set(stateKey, emails);
    emails.set(user, message.context.traits?.email ?? null);
    this.takings.push({
      messageId: message.messageId,
      computationId,
      user,
      type: message.type,
      value: JSON.stringify(value),
      bytes: createHash('sha1').update(JSON.stringify(message)).digest('base64'),
      takenAt,
      failed,
      request,
    });
  }

  #count(reaction: string): void {
    this.reactions.set(reaction, (this.reactions.get(reaction) ?? 0) + 1);
  }
}

/** The first request of a kind that comes in to any of the receivers, taken and held; null after `timeoutMs`. */
export async function holdFirst(
  receivers: readonly Receiver[],
  kind: RequestKind,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Held | null> {
  return await new Promise((resolve) => {
    const end = (held: Held | null): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      for (const receiver of receivers) receiver.holder = undefined;
      resolve(held);
    };
    const giveUp = (): void => end(null);
    const timer = setTimeout(giveUp, timeoutMs);
    signal.addEventListener('abort', giveUp, { once: true });
    for (const receiver of receivers) receiver.holder = { kind, hold: end };
  });
}

function respond(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return text;
}

function messagesOf(text: string): Message[] {
  const parsed: unknown = JSON.parse(text);
  return (Array.isArray(parsed) ? parsed : [parsed]) as Message[];
}

function nameIn(text: string): string {
  return (JSON.parse(text) as { audienceName: string }).audienceName;
}
