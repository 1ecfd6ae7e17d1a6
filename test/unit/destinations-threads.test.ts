import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, expect, it, vi } from 'vitest';
import {
  createDestinationDeps,
  deliverBatch,
  PermitWithdrawn,
  type JsonObject,
  type OpenDestination,
} from '../../src/destinations/index.ts';
import { ThreadPool } from '../../src/destinations/threads/thread-pool.ts';
import type { Receiver } from '../helpers/receiver.ts';
import { openWebhook, people, receiverForEachTest } from '../helpers/webhook.ts';
import { destinationDeps as deps, secretBox } from '../helpers/world.ts';

/** A tenth of what a batch may compute in production. */
const impatient = createDestinationDeps({ secretBox, allowPrivateAddresses: true, maxComputeMs: 1_000 });

let receiver: Receiver;
receiverForEachTest((fresh) => {
  receiver = fresh;
});

/** A webhook that sends what a mapping makes of each event: that is executed in a thread. */
function mapped(mapping: JsonObject, workspaceId = 'wrk_1', trigger = 'type = "track"'): OpenDestination {
  return openWebhook(receiver.url, mapping, { workspaceId, trigger });
}

/** Doubles a text again and again, and then reads it: 0.1 s for each event, in so many characters as a mapping may have. */
function slowLiquid(doublings: number, end: string): string {
  return `{% assign a = "xxxxxxxx" %}${'{% assign a = a | append: a %}'.repeat(doublings)}${end}`;
}

const HOSTILE = slowLiquid(14, '{{ a | replace: "x", "yy" | upcase | size }}').slice(0, 497);
const QUICK = { data: { user: { '@template': '{{userId}}' } } };

/** The longest time for which nothing else got its turn in this thread while `work` went on, in milliseconds. */
async function longestStall(work: () => Promise<void>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  await work();
  delay.disable();
  return delay.max / 1e6;
}

describe('a mapping that takes too long', () => {
  it('fails by a code of its own, holds no other thread, and another workspace’s sync goes on at once', async () => {
    // Two threads that are ready.
    const warm = async () =>
      await deliverBatch(impatient, { destination: mapped(QUICK, 'wrk_2'), messages: people(1) });
    await Promise.all([warm(), warm()]);
    receiver.accepted.length = 0;
    const stall = await longestStall(async () => {
      const hostile = deliverBatch(impatient, {
        destination: mapped({ data: { text: { '@liquid': HOSTILE } } }),
        messages: people(500),
      });
      const other = await deliverBatch(impatient, { destination: mapped(QUICK, 'wrk_2'), messages: people(20) });
      expect(other.stopped).toBeNull();
      const result = await hostile;
      expect(result.stopped).toMatchObject({ kind: 'failed', failure: { code: 'destination_code_overran' } });
      expect(result.outcomes.every(({ status }) => status === 'retry')).toBe(true);
    });
    // Most of it is for a machine that does other things too: in this thread it would be half a minute.
    expect(stall).toBeLessThan(2_000);
  });

  it('lets no third batch of its workspace begin while two compute for long, and holds no other workspace’s', async () => {
    const giveUp = new AbortController();
    const hogs = [0, 1].map(
      async () =>
        await deliverBatch(deps, {
          destination: mapped({ data: { text: { '@liquid': HOSTILE } } }),
          messages: people(3_000),
          signal: giveUp.signal,
        }),
    );
    const quick = async (workspaceId: string) =>
      await deliverBatch(deps, { destination: mapped(QUICK, workspaceId), messages: people(1) });
    // They may have to wait for a processor before they have had one for long.
    let held: ReturnType<typeof quick> | null = null;
    while (held === null) {
      const next = quick('wrk_1');
      // A thread is there within this time, if it is begun.
      const waits = new Promise<'waits'>((resolve) => setTimeout(() => resolve('waits'), 4_000));
      const ended = Promise.race(hogs).then(() => 'over' as const);
      const first = await Promise.race([next, waits, ended]);
      if (first === 'waits') held = next;
      else if (first === 'over') break;
    }
    expect(held).not.toBeNull();
    expect((await quick('wrk_2')).stopped).toBeNull();
    giveUp.abort(new Error('cancelled'));
    expect((await held)?.stopped).toBeNull();
    for (const { stopped } of await Promise.all(hogs)) expect(stopped).toEqual({ kind: 'aborted' });
  });

  it('is given up when the sync is cancelled', async () => {
    const giveUp = new AbortController();
    const delivery = deliverBatch(deps, {
      destination: mapped({ data: { text: { '@liquid': HOSTILE } } }),
      messages: people(500),
      signal: giveUp.signal,
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const since = performance.now();
    giveUp.abort(new Error('cancelled'));
    expect((await delivery).stopped).toEqual({ kind: 'aborted' });
    expect(performance.now() - since).toBeLessThan(10_000);
  });
});

it('a mapping that takes too much memory fails by the same code', async () => {
  // 8 MB of text for each person.
  const bomb = slowLiquid(
    15,
    `{% assign b = a | append: a %}{{ b | replace: "xxxxxxxx", "${'0123456789abcdef'.repeat(8)}" }}`,
  );
  const result = await deliverBatch(deps, {
    destination: mapped({ data: { text: { '@liquid': bomb } } }),
    messages: people(1_000),
  });
  expect(result.stopped).toMatchObject({ kind: 'failed', failure: { code: 'destination_code_overran' } });
  // And the next one finds a thread.
  const next = await deliverBatch(deps, { destination: mapped(QUICK), messages: people(3) });
  expect(next.stopped).toBeNull();
  expect(next.outcomes.map(({ status }) => status)).toEqual(['delivered', 'delivered', 'delivered']);
});

it('one thread that can’t be started keeps nobody else from starting theirs', async () => {
  // What can't be cloned makes the start itself throw, as a system without threads left does.
  const allowedAddresses: unknown[] = [() => undefined];
  const pool = new ThreadPool({ allowPrivateAddresses: true, allowedAddresses: allowedAddresses as string[] }, 1_000);
  const send = async (workspaceId: string) =>
    await pool.deliver({ destination: mapped(QUICK, workspaceId), messages: people(1) });
  for (let starts = 0; starts < 3; starts++) await expect(send('wrk_1')).rejects.toThrow('could not be cloned');
  allowedAddresses.length = 0;
  expect((await send('wrk_2')).stopped).toBeNull();
});

it('of a long answer to a webhook only the beginning is read, and it is an answer all the same', async () => {
  const body = { error: 'x'.repeat(200_000) };
  receiver.behave(({ path }) => ({ status: path === '/no' ? 400 : 200, body }));
  const send = async (path: string) =>
    await deliverBatch(deps, {
      destination: mapped({ url: receiver.url + path, data: { '@path': '$.' } }),
      messages: people(1),
    });
  expect(await send('/yes')).toEqual({ outcomes: [{ status: 'delivered' }], stopped: null });
  const parse = vi.spyOn(JSON, 'parse');
  const { outcomes } = await send('/no');
  const longest = Math.max(0, ...parse.mock.calls.map(([text]) => text.length));
  parse.mockRestore();
  expect(outcomes).toMatchObject([{ status: 'rejected', reason: expect.stringContaining('xxx') as string }]);
  expect(longest).toBeLessThan(100_000);
});

describe('in a thread as in our own', () => {
  it('what is large but honest is sent', async () => {
    const result = await deliverBatch(deps, { destination: mapped(QUICK), messages: people(1_000) });
    expect(result.stopped).toBeNull();
    expect(receiver.requests.flatMap(({ body }) => body)).toHaveLength(1_000);
    expect(receiver.requests[0]?.body).toContainEqual({ user: 'u7' });
  });

  it('each request is asked for', async () => {
    const result = await deliverBatch(deps, {
      destination: mapped({ ...QUICK, batch_size: 2 }),
      messages: people(10),
      mayGo: async () => {
        await Promise.resolve();
        if (receiver.requests.length >= 2) throw new PermitWithdrawn();
      },
    });
    expect(result.stopped).toEqual({ kind: 'withdrawn' });
    expect(receiver.requests).toHaveLength(2);
    expect(result.outcomes.filter(({ status }) => status === 'delivered')).toHaveLength(4);
  });

  it('refused addresses are refused', async () => {
    const guarded = createDestinationDeps({
      secretBox,
      allowPrivateAddresses: false,
    });
    const result = await deliverBatch(guarded, { destination: mapped(QUICK), messages: people(1) });
    expect(result.stopped).toMatchObject({ kind: 'failed', failure: { code: 'destination_address_refused' } });
  });

  it('the engines’ addresses are refused where they are now, and one that is allowed is not', async () => {
    let engines: string[] = [];
    const ruled = createDestinationDeps({
      secretBox,
      allowPrivateAddresses: false,
      allowedAddresses: [`127.0.0.1:${receiver.port}`],
      refusedAddresses: () => engines,
    });
    const first = await deliverBatch(ruled, { destination: mapped(QUICK), messages: people(1) });
    expect(first.stopped).toBeNull();
    engines = [`127.0.0.1:${receiver.port}`];
    receiver.behave(() => ({ headers: { connection: 'close' } }));
    const result = await deliverBatch(ruled, { destination: mapped({ ...QUICK, batch_size: 1 }), messages: people(3) });
    expect(result.stopped ?? null).toMatchObject({ kind: 'failed', failure: { code: 'destination_address_refused' } });
  });

  it('what a tool answers comes back', async () => {
    receiver.behave(() => ({ status: 429, headers: { 'retry-after': '2' } }));
    const result = await deliverBatch(deps, { destination: mapped(QUICK), messages: people(1) });
    expect(result.stopped).toMatchObject({ kind: 'rate_limited', retryAfterMs: 2_000 });
  });
});
