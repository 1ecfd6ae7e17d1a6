import { expect, it } from 'vitest';
import { createDestinationDeps, deliverBatch } from '../../src/destinations/index.ts';
import { createOutgoingHttpAgents } from '../../src/security/index.ts';
import type { Receiver } from '../helpers/receiver.ts';
import { openWebhook, people, receiverForEachTest } from '../helpers/webhook.ts';
import { secretBox } from '../helpers/world.ts';

/** More requests to one server than one workspace has connections to it. */
const MANY = 40;
/** What a webhook of this kind sends goes out from the worker's own thread. */
const WHOLE = { data: { '@path': '$.' } };
const never = new AbortController().signal;

let receiver: Receiver;
receiverForEachTest((fresh) => {
  receiver = fresh;
});

it('a server that is slow to one workspace is as quick as ever to another', async () => {
  const deps = createDestinationDeps({ secretBox, allowPrivateAddresses: true });
  const giveUp = new AbortController();
  receiver.behave(({ path }) => (path === '/slow' ? { delayMs: 60_000 } : undefined));
  const slow = Array.from({ length: MANY }, async () => {
    const destination = openWebhook(`${receiver.url}/slow`, WHOLE);
    return await deliverBatch(deps, { destination, messages: people(1), signal: giveUp.signal });
  });
  await receiver.received(({ path }) => path === '/slow');
  const destination = openWebhook(`${receiver.url}/quick`, WHOLE, { workspaceId: 'wrk_2' });
  const { outcomes } = await deliverBatch(deps, { destination, messages: people(3) });
  expect(outcomes).toEqual([{ status: 'delivered' }, { status: 'delivered' }, { status: 'delivered' }]);
  giveUp.abort(new Error('cancelled'));
  for (const { stopped } of await Promise.all(slow)) expect(stopped).toEqual({ kind: 'aborted' });
});

it('what waits for our own requests to a server is not late by it', async () => {
  const deps = createDestinationDeps({ secretBox, allowPrivateAddresses: true, requestTimeoutMs: 1_500 });
  receiver.behave(() => ({ delayMs: 900 }));
  const destination = openWebhook(receiver.url, WHOLE);
  const results = await Promise.all(
    Array.from({ length: MANY }, async () => await deliverBatch(deps, { destination, messages: people(1) })),
  );
  for (const { stopped } of results) expect(stopped).toBeNull();
});

it('who gets no connection in time has failed by our own fault, and not by the server’s', async () => {
  const deps = createDestinationDeps({ secretBox, allowPrivateAddresses: true, requestTimeoutMs: 150 });
  const held = await Promise.all(
    Array.from({ length: 16 }, async () => await deps.agents.turn(receiver.url, 'wrk_1', never)),
  );
  const send = async () =>
    await deliverBatch(deps, { destination: openWebhook(receiver.url, WHOLE), messages: people(1) });
  expect((await send()).stopped).toMatchObject({ kind: 'failed', failure: { code: 'worker_exhausted' } });
  expect(receiver.requests).toEqual([]);
  for (const done of held) done();
  expect((await send()).stopped).toBeNull();
});

it('a turn that is given up while it waits is nobody else’s loss', async () => {
  const agents = createOutgoingHttpAgents({ allowPrivateAddresses: true });
  const turn = async (url: string, key: string, signal: AbortSignal) => await agents.turn(url, key, signal);
  const held = await Promise.all(Array.from({ length: 16 }, async () => await turn('http://a.example/x', 'a', never)));
  const giveUp = new AbortController();
  const waits = turn('http://a.example/y', 'a', giveUp.signal).catch((error: unknown) => error);
  const next = turn('http://a.example/z', 'a', never);
  giveUp.abort(new Error('given up'));
  expect(await waits).toEqual(new Error('given up'));
  // Another server, and another workspace, wait for nothing.
  (await turn('http://b.example/', 'a', never))();
  (await turn('http://a.example/', 'b', never))();
  for (const done of held) done();
  (await next)();
});
