import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresPool } from '../../src/store/index.ts';
import { act, chooseAction } from './actions.ts';
import { ApiRefusal } from './api.ts';
import type { SentEvent } from './people.ts';
import type { Size } from './plan.ts';
import type { Random } from './random.ts';
import type { Workspace, World } from './world.ts';

const BATCH_EVENTS = 6;
const BATCH_EVERY_MS = 400;
const ACT_EVERY_MS = 1_500;
const RETRY_AFTER_MS = 150;

/** What goes on in the world meanwhile: events come in, and people ask for things. */
export interface Traffic {
  /** The message ids that were answered 200, by workspace. */
  acknowledged: Map<Workspace, Set<string>>;
  /** What people asked for, how often, and how often it came through. */
  actions: Map<string, { asked: number; done: number }>;
  /** Answers of 500, which are never right: an API without its engines says 503. */
  serverErrors: string[];
  /** Ends it. Resolves when every event that was begun is acknowledged. */
  stop(): Promise<void>;
}

export function startTraffic(options: {
  world: World;
  pool: PostgresPool;
  apiUrl: string;
  size: Size;
  random: Random;
}): Traffic {
  const { world, random } = options;
  const stopping = new AbortController();
  const traffic: Traffic = {
    acknowledged: new Map(world.workspaces.map((workspace) => [workspace, new Set()])),
    actions: new Map(),
    serverErrors: [],
    stop: async () => {
      stopping.abort();
      await Promise.all(running);
    },
  };
  const running = world.workspaces.map(async (workspace) => {
    const acknowledged = traffic.acknowledged.get(workspace);
    while (!stopping.signal.aborted) {
      const batch = Array.from({ length: BATCH_EVENTS }, () => workspace.people.next());
      await sendUntilTaken(options.apiUrl, workspace, batch);
      for (const { messageId } of batch) acknowledged?.add(messageId);
      await pause(BATCH_EVERY_MS, stopping.signal);
    }
  });
  running.push(actUntilStopped(options, traffic, random.fork('people'), stopping.signal));
  return traffic;
}

/** As a client of Segment's does it: again and again, the same messages under the same ids, until the answer is 200. */
async function sendUntilTaken(apiUrl: string, workspace: Workspace, batch: readonly SentEvent[]): Promise<void> {
  const body = JSON.stringify({ writeKey: workspace.writeKey, batch });
  for (;;) {
    const status = await fetch(`${apiUrl}/v1/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(10_000),
    }).then(
      async (response) => {
        const answer = await response.text();
        // All of it, or it was in vain.
        return response.ok && !answer.includes('refused') ? 200 : response.status;
      },
      () => 0,
    );
    if (status === 200) return;
    if (status >= 400 && status < 500) throw new Error(`the API refused events with ${status}`);
    await sleep(RETRY_AFTER_MS);
  }
}

async function actUntilStopped(
  options: { world: World; pool: PostgresPool; size: Size },
  traffic: Traffic,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await pause(ACT_EVERY_MS, signal);
    const workspace = random.pick(options.world.workspaces);
    const action = chooseAction(random, options.size);
    const count = traffic.actions.get(action) ?? { asked: 0, done: 0 };
    traffic.actions.set(action, count);
    count.asked += 1;
    try {
      if (await act(options, workspace, random, action)) count.done += 1;
    } catch (error) {
      // Refused because of how things stand, or the API is away: people try again.
      if (error instanceof ApiRefusal && error.status === 500) traffic.serverErrors.push(error.message);
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
