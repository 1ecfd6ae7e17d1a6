import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { LRUCache } from 'lru-cache';
import { buildConnector, Dispatcher, Pool } from 'undici';
import { FairSlots } from '../fair-slots.ts';
import { createAddressPolicy, type AddressPolicy, type AddressRules } from './refused-addresses.ts';

export interface OutgoingOptions extends AddressRules {
  /** For connecting, for the head of the answer, and for each pause in its body. */
  timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const CONNECTIONS_PER_ORIGIN = 16;
/** Shared by workspaces so that each finds one (see FairSlots): one alone has 16 of them. */
const TURNS_PER_ORIGIN = 24;
// Below the 5 s after which Node's own servers, and many others, close an idle connection: a request on one that is just being
// closed fails, and would cost an attempt for nothing.
const IDLE_SOCKET_MS = 4_000;
// People type in where to send to, so there may be any number of origins over the life of a process.
const MAX_ORIGINS = 256;

/**
 * The way out for undici's `request` and `fetch` to addresses that people typed in. Whatever is connected to was checked at
 * connect time, also where a redirect leads: so a redirect to a refused address fails like the address itself. `request`
 * follows no redirect by itself; give `fetch` `redirect: 'manual'`. Refused: an error whose `code`, or whose `cause`'s, is
 * ERR_ADDRESS_REFUSED.
 */
export function createOutgoingAgent(options: OutgoingOptions): Dispatcher {
  const timeout = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const policy = createAddressPolicy(options);
  const connectorFor = createConnectors(policy, timeout);
  return new OriginPools({
    connections: CONNECTIONS_PER_ORIGIN,
    keepAliveTimeout: IDLE_SOCKET_MS,
    headersTimeout: timeout,
    bodyTimeout: timeout,
    connect: (target, callback) => {
      const port = portOf(target.port, target.protocol);
      void settle(policy.refuseLiteral(target.hostname, port), (refused) => {
        if (refused === null) connectorFor(port)(target, callback);
        else callback(refused, null);
      });
    },
  });
}

/** A connector for each port that has rules of its own, and one for all others, which keeps their TLS sessions. */
function createConnectors(policy: AddressPolicy, timeout: number): (port: number) => buildConnector.connector {
  const special = new LRUCache<number, buildConnector.connector>({ max: MAX_ORIGINS });
  const others = buildConnector({ timeout, lookup: policy.lookupFor(0) });
  return (port) => {
    if (!policy.isSpecialPort(port)) return others;
    const known = special.get(port) ?? buildConnector({ timeout, lookup: policy.lookupFor(port) });
    special.set(port, known);
    return known;
  };
}

/** At once where the value is there, so that what is decided at once has no delay. */
function settle<T>(value: Promise<T> | T, then: (value: T) => void): Promise<void> | undefined {
  if (value instanceof Promise) return value.then(then);
  then(value);
  return undefined;
}

function portOf(port: string | number | null | undefined, protocol: string | undefined): number {
  return Number(port) || (protocol === 'https:' ? 443 : 80);
}

/** A pool of connections for each of the origins that were used last. undici's own Agent keeps one for each there ever was. */
class OriginPools extends Dispatcher {
  readonly #options: Pool.Options;
  readonly #pools = new LRUCache<string, Pool>({
    max: MAX_ORIGINS,
    // Ends what is under way on it, and then its connections.
    dispose: (pool) => void pool.close().catch(() => undefined),
  });

  constructor(options: Pool.Options) {
    super();
    this.#options = options;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandlers): boolean {
    const origin = String(options.origin);
    let pool = this.#pools.get(origin);
    if (pool === undefined || pool.closed || pool.destroyed) {
      pool = new Pool(origin, this.#options);
      this.#pools.set(origin, pool);
    }
    return pool.dispatch(options, handler);
  }

  override async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map(async (pool) => await pool.close()));
  }

  override async destroy(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map(async (pool) => await pool.destroy()));
  }
}

/** The same way out for clients on Node's own http and https, which know nothing of undici's dispatchers. */
export interface OutgoingHttpAgents {
  /** The shared agent, with connections that are kept alive, for a URL's protocol. */
  agentFor(url: { protocol: string }): http.Agent;
  /**
   * Waits until fewer requests to the URL's origin are under way than there may be connections to it, so that a request that goes out
   * then does not wait for one. Workspaces share them: `key` is whose request it is. Gives what to call when the request has ended.
   * Rejected with the reason of `signal` where that is aborted before.
   */
  turn(url: string, key: string, signal: AbortSignal): Promise<() => void>;
  /** Puts the check into an agent that somebody else made, a client certificate in it, say. Gives the same agent back. */
  guard<A extends http.Agent>(agent: A): A;
}

/** See OutgoingHttpAgents. Refused: an error whose `code` is ERR_ADDRESS_REFUSED. */
export function createOutgoingHttpAgents(options: OutgoingOptions): OutgoingHttpAgents {
  const policy = createAddressPolicy(options);
  const guard = <A extends http.Agent>(agent: A): A => guardAgent(agent, policy);
  const agentOptions = { keepAlive: true, maxSockets: TURNS_PER_ORIGIN, timeout: IDLE_SOCKET_MS };
  const plain = guard(new http.Agent(agentOptions));
  const secure = guard(new https.Agent(agentOptions));
  return { agentFor: (url) => (url.protocol === 'https:' ? secure : plain), turn: takeTurns(), guard };
}

function takeTurns(): OutgoingHttpAgents['turn'] {
  const origins = new Map<string, FairSlots>();
  return async (url, key, signal) => {
    // What is no URL fails when it is fetched, and says so better.
    const origin = URL.canParse(url) ? new URL(url).origin : '';
    const slots = origins.get(origin) ?? new FairSlots(TURNS_PER_ORIGIN);
    origins.set(origin, slots);
    const forget = (): void => {
      if (slots.isIdle && origins.get(origin) === slots) origins.delete(origin);
    };
    try {
      const slot = await slots.take(key, signal);
      return () => {
        slot.leave();
        forget();
      };
    } catch (error) {
      forget();
      throw error;
    }
  };
}

/** Node's documented hook for making an agent's sockets; its type declarations for Node 20 leave it away. */
interface ConnectingAgent {
  createConnection(
    options: http.ClientRequestArgs,
    callback: (error: Error | null, socket?: Duplex) => void,
  ): Duplex | null | undefined;
}

const GUARDED = Symbol('guarded');

function guardAgent<A extends http.Agent>(agent: A, policy: AddressPolicy): A {
  const connecting = agent as unknown as ConnectingAgent & { [GUARDED]?: boolean; protocol?: string };
  if (connecting[GUARDED] === true) return agent;
  const createConnection = connecting.createConnection.bind(connecting);
  connecting.createConnection = (options, callback) => {
    const port = portOf(options.port, connecting.protocol);
    const connect = (): Duplex | null | undefined =>
      createConnection({ ...options, lookup: policy.lookupFor(port) }, callback);
    const refused = policy.refuseLiteral(options.host ?? 'localhost', port);
    if (refused === null) return connect();
    if (refused instanceof Promise) {
      const decide = async (): Promise<void> => {
        const error = await refused;
        const socket = error === null ? connect() : undefined;
        if (error !== null) callback(error);
        else if (socket) callback(null, socket);
      };
      void decide();
    } else process.nextTick(callback, refused);
    return undefined;
  };
  connecting[GUARDED] = true;
  return agent;
}
