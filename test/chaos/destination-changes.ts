import { setTimeout as sleep } from 'node:timers/promises';
import { ApiRefusal } from './api.ts';
import type { Random } from './random.ts';
import { createDestination, pathAt, type Destination, type Workspace, type World } from './world.ts';

// An answer that got lost is asked for again until it is there: only then does a rule hold.
const INSIST_MS = 60_000;
const AGAIN_AFTER_MS = 200;

/** Switches a destination off, or on again. */
export async function switchDestination(
  world: World,
  workspace: Workspace,
  destination: Destination,
  enabled: boolean,
): Promise<void> {
  await change(world, destination, enabled ? 'enabled' : 'disabled', async () => {
    await insist(async () => await workspace.owner.call('PATCH', `/destinations/${destination.id}`, { enabled }));
    destination.enabled = enabled;
  });
}

/** Gives a destination another address at its receiver. */
export async function moveDestination(world: World, workspace: Workspace, destination: Destination): Promise<void> {
  const address = destination.address + 1;
  const mapping = { url: `${destination.receiver.url}${pathAt(address)}`, batch_size: destination.batchSize };
  await change(world, destination, `moved to ${pathAt(address)}`, async () => {
    const subscriptions = [{ id: destination.subscriptionId, mapping }];
    await insist(async () => await workspace.owner.call('PATCH', `/destinations/${destination.id}`, { subscriptions }));
    destination.address = address;
  });
}

/** Deletes a destination, when another of its kind is there to take its place: that one, which nothing is connected to. */
export async function replaceDestination(
  world: World,
  workspace: Workspace,
  destination: Destination,
  random: Random,
): Promise<Destination> {
  const { kind, batchSize } = destination;
  const next = await createDestination(world, workspace, random, kind, batchSize);
  await change(world, destination, 'deleted', async () => {
    await insist(async () => {
      await workspace.owner.call('DELETE', `/destinations/${destination.id}`).catch((error: unknown) => {
        // The answer of an earlier try got lost.
        if (!(error instanceof ApiRefusal && error.status === 404)) throw error;
      });
    });
    destination.enabled = false;
  });
  workspace.destinations.splice(workspace.destinations.indexOf(destination), 1, next);
  workspace.deleted.push(destination);
  return next;
}

/** Makes a change. The rule of the one before it ends when it is asked for, and its own begins when it is answered. */
async function change(world: World, destination: Destination, what: string, make: () => Promise<void>): Promise<void> {
  const { receiver } = destination;
  const askedAt = Date.now();
  for (const rule of world.rules) if (rule.receiver === receiver) rule.until = Math.min(rule.until, askedAt);
  await make();
  const path = destination.enabled ? pathAt(destination.address) : null;
  world.rules.push({ receiver, change: what, path, from: Date.now(), until: Infinity });
}

/** Asks until there is an answer. Throws what it is where it is a refusal, and what fetch throws when the time is over. */
async function insist(ask: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + INSIST_MS;
  for (;;) {
    try {
      await ask();
      return;
    } catch (error) {
      const refused = error instanceof ApiRefusal && error.status !== 503;
      if (refused || Date.now() > deadline) throw error;
      await sleep(AGAIN_AFTER_MS);
    }
  }
}
