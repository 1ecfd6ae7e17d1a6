import { AsyncLocalStorage } from 'node:async_hooks';
import type http from 'node:http';
import type { OutgoingHttpAgents } from '../../security/index.ts';

/** What goes for every request that is made inside of one call into actions-core. */
interface Outgoing {
  agents: OutgoingHttpAgents;
  /** Whose requests they are: workspaces share the connections to an origin. */
  workspaceId: string;
  signal: AbortSignal;
  /** Of an answer that is longer than so many bytes, its beginning is handed on, as text: nobody reads more of it here. */
  readsAtMost?: number;
  /** No request goes out before this is fulfilled. It must not be rejected: whoever wants no request aborts `signal`. */
  until?: Promise<void> | undefined;
  /** Hears that a call waits for a connection, and that it has one: its time begins anew then. */
  onTurn?: ((has: boolean) => void) | undefined;
  /** Asked before each request, after `until`; rejects where none may go out any more. */
  mayGo?: (() => Promise<void>) | undefined;
}

/** actions-core's `fetch.js`: node-fetch 2 by cross-fetch. */
export interface FetchModule {
  default: (request: FetchRequest) => Promise<FetchResponse>;
  Request: new (request: FetchRequest, init: object) => FetchRequest;
  Response: new (body: Buffer, init: object) => FetchResponse;
  Headers: new (init: object) => { set(name: string, value: string): void };
}

interface FetchRequest {
  url: string;
  agent: unknown;
  signal: AbortSignal | null;
}

interface FetchResponse {
  url: string;
  status: number;
  statusText: string;
  headers: object;
  buffer(): Promise<Buffer>;
}

/** What an answer may have at most. No destination needs as much; without it one could fill the memory of the worker. */
const MAX_ANSWER_BYTES = 20 * 1024 * 1024;

/** More than is shown of an answer. */
const BEGINNING_BYTES = 4_096;

const outgoing = new AsyncLocalStorage<Outgoing>();
/** Requests that had their turn before actions-core began to count their time. */
const inTurn = new AsyncLocalStorage<true>();

/** Runs a call whose requests go out through `agents` and end when `signal` is aborted. */
export async function withOutgoing<T>(context: Outgoing, call: () => Promise<T>): Promise<T> {
  return await outgoing.run(context, call);
}

/**
 * Makes the one request of `call` when there is a connection for it: actions-core counts the time of a request from when it is asked for
 * it, and what waits for our own others is not late.
 */
export async function whenInTurn<T>(url: string, call: () => Promise<T>): Promise<T> {
  const context = requireContext();
  await context.until;
  context.onTurn?.(false);
  const done = await context.agents.turn(url, context.workspaceId, context.signal);
  context.onTurn?.(true);
  try {
    return await inTurn.run(true, call);
  } finally {
    done();
  }
}

function requireContext(): Outgoing {
  const context = outgoing.getStore();
  if (context === undefined) throw new Error('a request of actions-core outside of callCore');
  return context;
}

/**
 * Puts the rules for outgoing requests into the fetch of actions-core, for all of its request clients: also those that a
 * definition makes for itself. Through the checked agents, following no redirect, and with the answer read to its end before it
 * is given on. Left to itself, actions-core reads the answer's body from a clone of a stream, which hears neither of an abort
 * nor of a timeout, and a connection that is reset in the middle of a body is an exception that nobody can catch.
 * A request outside of withOutgoing is refused.
 */
export function guardFetch(module: FetchModule): void {
  const fetch = module.default;
  module.default = async (request) => {
    const context = requireContext();
    await context.until;
    const given = isAgent(request.agent) ? context.agents.guard(request.agent) : null;
    // What waited for a socket after it was asked would go out under an old answer.
    const waits = given === null && inTurn.getStore() === undefined;
    const done = waits ? await context.agents.turn(request.url, context.workspaceId, context.signal) : ignore;
    try {
      context.signal.throwIfAborted();
      await context.mayGo?.();
      return await send(request, context, given);
    } finally {
      done();
    }
  };

  async function send(request: FetchRequest, context: Outgoing, given: http.Agent | null): Promise<FetchResponse> {
    const signals = request.signal === null ? [context.signal] : [context.signal, request.signal];
    const response = await fetch(
      new module.Request(request, {
        agent: given ?? ((url: { protocol: string }) => context.agents.agentFor(url)),
        redirect: 'manual',
        size: MAX_ANSWER_BYTES,
        signal: AbortSignal.any(signals),
      }),
    );
    const { url, status, statusText, headers } = response;
    const body = await response.buffer();
    if (body.length <= (context.readsAtMost ?? MAX_ANSWER_BYTES)) {
      return new module.Response(body, { url, status, statusText, headers });
    }
    const asText = new module.Headers(headers);
    asText.set('content-type', 'text/plain');
    return new module.Response(body.subarray(0, BEGINNING_BYTES), { url, status, statusText, headers: asText });
  }
}

function ignore(): void {}

function isAgent(agent: unknown): agent is http.Agent {
  return typeof agent === 'object' && agent !== null && 'createConnection' in agent;
}
