import { describe, expect, it } from 'vitest';
import { deliverBatch, PermitWithdrawn, type JsonObject } from '../../src/destinations/index.ts';
import { Permit, PERMIT_MS } from '../../src/store/index.ts';
import type { Receiver } from '../helpers/receiver.ts';
import { openWebhook, people, receiverForEachTest } from '../helpers/webhook.ts';
import { destinationDeps as deps } from '../helpers/world.ts';

let receiver: Receiver;
receiverForEachTest((fresh) => {
  receiver = fresh;
});

const webhook = (mapping: JsonObject) => openWebhook(receiver.url, { data: { '@path': '$.' }, ...mapping });
const messages = people(12);

/** Says yes so many times, and then throws. */
function yesTimes(times: number, error: Error = new PermitWithdrawn()): () => Promise<void> {
  let asked = 0;
  return async () => {
    await Promise.resolve();
    if (asked++ >= times) throw error;
  };
}

describe('each request of a delivery is asked for', () => {
  it.each<[string, JsonObject]>([
    ['batches of whole events', { batch_size: 2 }],
    ['batches that are mapped', { batch_size: 2, headers: { user: { '@template': '{{type}}' } } }],
    ['single events, several at once', { enable_batching: false }],
  ])('with %s: what is under way is waited for, and no other goes out', async (_, mapping) => {
    receiver.behave(() => ({ delayMs: 60 }));
    const destination = webhook(mapping);
    const result = await deliverBatch(deps, { destination, messages, mayGo: yesTimes(3) });
    // A thread asks again where it hears of an answer late.
    expect(receiver.requests.length).toBeGreaterThan(0);
    expect(receiver.requests.length).toBeLessThanOrEqual(3);
    expect(result.stopped).toEqual({ kind: 'withdrawn' });
    const delivered = result.outcomes.filter(({ status }) => status === 'delivered');
    expect(delivered).toHaveLength(receiver.accepted.length);
    expect(result.outcomes.filter(({ status }) => status === 'retry')).toHaveLength(12 - delivered.length);
  });

  it('and where nobody can say, that is not the destination’s fault', async () => {
    const error = Object.assign(new Error('the database is shutting down'), { code: '57P01', severity: 'FATAL' });
    const result = await deliverBatch(deps, { destination: webhook({}), messages, mayGo: yesTimes(0, error) });
    expect(result.stopped).toMatchObject({ kind: 'failed', failure: { code: 'postgres_unavailable' } });
    expect(receiver.requests).toHaveLength(0);
  });
});

describe('a permit', () => {
  it('is looked for once in its time, by all who ask at once together', async () => {
    let looks = 0;
    const permit = new Permit(async () => {
      looks += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    });
    await Promise.all(Array.from({ length: 20 }, permit.ask));
    expect(looks).toBe(1);
    await permit.ask();
    expect(looks).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, PERMIT_MS));
    await permit.ask();
    expect(looks).toBe(2);
  });

  it('counts from when the look began: an answer that comes too late says nothing', async () => {
    let looks = 0;
    const permit = new Permit(async () => {
      looks += 1;
      await new Promise((resolve) => setTimeout(resolve, looks === 1 ? PERMIT_MS + 20 : 1));
    });
    await permit.ask();
    expect(looks).toBe(2);
  });

  it('that is withdrawn is for nobody', async () => {
    const permit = new Permit(async () => {
      await Promise.resolve();
      throw new PermitWithdrawn();
    });
    await expect(permit.ask()).rejects.toThrow(PermitWithdrawn);
    await expect(permit.ask()).rejects.toThrow(PermitWithdrawn);
  });
});
