import { afterAll, beforeAll, expect, test } from 'vitest';
import { postWebhook } from '../../src/alerts/delivery/post-webhook.ts';
import {
  createDestinationDeps,
  deliverBatch,
  prepareAudience,
  type OpenDestination,
} from '../../src/destinations/index.ts';
import { TaskFailure } from '../../src/errors.ts';
import { createOutgoingAgent, createSecretBox } from '../../src/security/index.ts';
import { HOSTILE_ANSWERS } from '../helpers/hostile-receiver.ts';
import { outgoing } from '../helpers/outgoing.ts';
import { startReceiver, type Receiver } from '../helpers/receiver.ts';

const TIMEOUT_MS = 1_500;
const secretBox = createSecretBox('a secret for tests only, 32 characters');
const deps = createDestinationDeps({ secretBox, allowPrivateAddresses: true, requestTimeoutMs: TIMEOUT_MS });
const dispatcher = createOutgoingAgent({ allowPrivateAddresses: true });

let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver(({ path }) => HOSTILE_ANSWERS[Number(path.split('/').at(-1))]?.reaction);
});
afterAll(async () => {
  await receiver.close();
  await dispatcher.close();
});

function open(at: number, { batches = true } = {}): OpenDestination {
  const url = `${receiver.url}/${at}`;
  const subscriptions = [
    {
      id: 'sub_1',
      action: 'send',
      trigger: 'type = "track"',
      mapping: { url, method: 'POST', data: { '@path': '$.' }, enable_batching: batches },
    },
  ];
  const settings = { createAudienceUrl: url };
  return { id: 'dst_1', workspaceId: 'wrk_1', slug: 'webhook-audiences', name: 'Hostile', settings, subscriptions };
}

const computation = {
  id: 'aud_1',
  kind: 'audience',
  key: 'everybody',
  name: 'Everybody',
  spaceId: 'spa_1',
} as unknown as Parameters<typeof prepareAudience>[1]['computation'];

/** What came of asking the tool for an audience: its id, or a failure of ours with a detail that can be shown. */
async function prepare(at: number): Promise<string | null> {
  try {
    return await prepareAudience(deps, {
      destination: open(at),
      computation,
      audienceSettings: {},
      externalAudienceId: null,
    });
  } catch (error) {
    expect(error).toBeInstanceOf(TaskFailure);
    expect((error as TaskFailure).detail.length).toBeLessThanOrEqual(4_000);
    return null;
  }
}

test(
  'whatever a receiver answers, at every step that talks to one, it is an outcome, and in time',
  { timeout: 300_000 },
  async () => {
    const odd: string[] = [];
    const work = HOSTILE_ANSWERS.map(({ name }, at) => async () => {
      const id = await prepare(at);
      if (id !== null && (id.includes('\0') || !id.isWellFormed() || id.length > 1_000))
        odd.push(`${name}: the id ${id.slice(0, 50)}`);

      const messages = outgoing([{ type: 'track', messageId: 'm-1', userId: 'u1', event: 'Entered' }]);
      for (const batches of [true, false]) {
        const what = `${name}, ${batches ? 'a batch' : 'a single event'}`;
        const { outcomes, stopped } = await deliverBatch(deps, { destination: open(at, { batches }), messages });
        const [outcome] = outcomes;
        if (outcomes.length !== 1 || outcome === undefined) odd.push(`${what}: ${outcomes.length} outcomes`);
        if (outcome?.status === 'retry' && stopped === null) odd.push(`${what}: to be sent again, nothing says why`);
        if (outcome?.status === 'rejected' && outcome.reason.length > 300) odd.push(`${what}: a long reason`);
      }

      const payload = { type: 'alert.sent' } as unknown as Parameters<typeof postWebhook>[1]['payload'];
      const secret = `whsec_${Buffer.from('a secret of some length').toString('base64')}`;
      const posted = await postWebhook(dispatcher, {
        url: `${receiver.url}/${at}`,
        secret,
        messageId: 'dlv_1',
        payload,
      });
      if (posted.outcome === 'failed' && posted.error.length > 300) odd.push(`${name}: a long error`);
    });
    // Some at once: a few of them are slow.
    const lane = async (): Promise<void> => {
      for (let next = work.shift(); next !== undefined; next = work.shift()) await next();
    };
    await Promise.all(Array.from({ length: 10 }, lane));
    expect(odd).toEqual([]);
    expect(receiver.requests.length).toBeGreaterThan(HOSTILE_ANSWERS.length * 3);
  },
);
