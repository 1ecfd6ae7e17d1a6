import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createDestinationDeps,
  deliverBatch,
  prepareAudience,
  type JsonObject,
  type OpenDestination,
  type OutgoingMessage,
} from '../../src/destinations/index.ts';
import { outgoing } from '../helpers/outgoing.ts';
import { createSecretBox } from '../../src/security/index.ts';

const secretBox = createSecretBox('a secret for tests only, 32 characters');
// The time for one request is far beyond what an abort may take.
const deps = createDestinationDeps({ secretBox, allowPrivateAddresses: true, requestTimeoutMs: 60_000 });

/** A tool that takes what it is sent, says `says`, and nothing more. It knows when its sockets are closed. */
interface SilentTool {
  url: string;
  /** Resolves when so many requests have come in. */
  asked(requests: number): Promise<void>;
  /** Sockets that are open. */
  open(): number;
}

const servers: { server: Server; sockets: Set<Socket> }[] = [];
let says = '';
beforeEach(() => {
  says = '';
});
afterEach(async () => {
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy();
    await new Promise((closed) => server.close(closed));
  }
});

async function startSilentTool(): Promise<SilentTool> {
  const sockets = new Set<Socket>();
  let requests = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', () => {
      requests += 1;
      if (says !== '') socket.write(says);
    });
  });
  servers.push({ server, sockets });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: async (count) => await expect.poll(() => requests, { timeout: 10_000, interval: 10 }).toBe(count),
    open: () => sockets.size,
  };
}

function open(slug: string, action: string, mapping: JsonObject, settings: JsonObject = {}): OpenDestination {
  const subscriptions = [{ id: 'sub_1', action, trigger: 'type = "track"', mapping }];
  return { id: 'dst_1', workspaceId: 'wrk_1', slug, name: slug, settings, subscriptions };
}

function messages(count: number): OutgoingMessage[] {
  return outgoing(
    Array.from({ length: count }, (_, idx) => ({ type: 'track', messageId: `m-${idx}`, userId: `u${idx}` })),
  );
}

/** Aborts and expects that all sockets are closed, and the call is over, within a second. */
async function abortAndExpectClosed(tool: SilentTool, giveUp: AbortController, call: Promise<unknown>): Promise<void> {
  const abortedAt = performance.now();
  giveUp.abort(new Error('the task is cancelled'));
  await Promise.all([call, expect.poll(() => tool.open(), { timeout: 5_000, interval: 10 }).toBe(0)]);
  expect(performance.now() - abortedAt).toBeLessThan(1_000);
}

describe('a delivery that is aborted closes its socket within a second', () => {
  it.each([
    ['where the tool says nothing', ''],
    ['where it has begun with the head of its answer', 'HTTP/1.1 200 OK\r\ncontent-type: applica'],
    ['where it is in the middle of its body', 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"some":'],
  ])('%s', async (_, answer) => {
    says = answer;
    const tool = await startSilentTool();
    const giveUp = new AbortController();
    const mapping = { url: tool.url, method: 'POST', data: { '@path': '$.' }, enable_batching: true };
    const call = deliverBatch(deps, {
      destination: open('webhook', 'send', mapping),
      messages: messages(3),
      signal: giveUp.signal,
    });
    await tool.asked(1);
    await abortAndExpectClosed(tool, giveUp, call);
    expect(await call).toEqual({
      outcomes: Array.from({ length: 3 }, () => ({ status: 'retry' })),
      stopped: { kind: 'aborted' },
    });
  });

  it('for each request of a tool that takes one event at a time, and begins none any more', async () => {
    const tool = await startSilentTool();
    const giveUp = new AbortController();
    const mapping = { url: tool.url, method: 'POST', data: { '@path': '$.' }, enable_batching: false };
    const call = deliverBatch(deps, {
      destination: open('webhook', 'send', mapping),
      messages: messages(20),
      signal: giveUp.signal,
    });
    await tool.asked(5);
    await abortAndExpectClosed(tool, giveUp, call);
    expect((await call).stopped).toEqual({ kind: 'aborted' });
    await tool.asked(5);
  });

  it('while an audience is made at the tool', async () => {
    const tool = await startSilentTool();
    const giveUp = new AbortController();
    const call = prepareAudience(deps, {
      destination: open(
        'webhook-audiences',
        'send',
        {},
        { createAudienceUrl: tool.url, sharedSecret: 'a secret of it' },
      ),
      computation: {
        id: 'aud_1',
        key: 'big_spenders',
        name: 'Big spenders',
        kind: 'audience',
        definitionType: 'USERS',
        spaceId: 'spa_1',
        spaceSlug: 'shop',
      },
      audienceSettings: {},
      externalAudienceId: null,
      signal: giveUp.signal,
    });
    const failed = call.then(
      () => 'made',
      (error: Error) => error.message,
    );
    await tool.asked(1);
    await abortAndExpectClosed(tool, giveUp, failed);
    expect(await failed).toBe('the task is cancelled');
  });

  it('and one that was aborted before sends nothing', async () => {
    const tool = await startSilentTool();
    const { stopped } = await deliverBatch(deps, {
      destination: open('webhook', 'send', { url: tool.url, method: 'POST', data: {}, enable_batching: true }),
      messages: messages(1),
      signal: AbortSignal.abort(),
    });
    expect(stopped).toEqual({ kind: 'aborted' });
    await tool.asked(0);
  });
});
