import { allPlaces, type Place, type Side } from './places.ts';
import type { Random } from './random.ts';

export const COMPONENTS = ['postgres', 'clickhouse', 'temporal', 'api', 'worker'] as const;
export type Component = (typeof COMPONENTS)[number];

/** Who is killed: one of them, or all at the same moment. */
const VICTIMS = ['worker', 'api', 'postgres', 'temporal', 'clickhouse', 'all'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface Kill {
  victim: Victim;
  /** Where it happens; null is a random moment. */
  at: { place: Place; side: Side } | null;
  /** How long each victim is left dead before it is started again. */
  downMs: Record<Component, number>;
  /** From this kill to when the next one is prepared; at a random moment, to the kill itself. */
  pauseMs: number;
}

/** How large the world is. Fewer than a hundred people, visitors included, so that no guard of a run asks anyone. */
export interface Size {
  workspaces: number;
  /** Users; a third as many visitors come besides. */
  people: number;
  computations: number;
  /** Messages in one request. */
  batchSize: number;
  /** Whether computations come and go meanwhile, and not only their runs. */
  churn: boolean;
}

export const SMALL: Size = { workspaces: 2, people: 40, computations: 4, batchSize: 8, churn: false };
export const LARGE: Size = { workspaces: 3, people: 72, computations: 5, batchSize: 20, churn: true };

/**
 * The kills of a run, the same for the same random stream: each required place once, then every place on every side with every
 * victim, with a kill at a random moment after every second one. Begins anew where `count` is more than all of that.
 */
export function planKills(random: Random, count: number): Kill[] {
  const kills: Kill[] = [];
  const add = (at: Kill['at'], victim: Victim): void => {
    if (kills.length < count) kills.push(makeKill(random, at, victim));
  };
  const required = random.shuffle(allPlaces().filter((place) => place.required));
  // Mostly the worker, which stands at the place, but each of the others more than once.
  const others = random.shuffle(VICTIMS.flatMap((victim) => (victim === 'worker' ? [] : [victim, victim])));
  const victims = random.shuffle(required.map((_, index): Victim => others[index] ?? 'worker'));
  for (const [index, place] of required.entries()) {
    add({ place, side: random.pick(place.sides) }, victims[index] ?? 'worker');
  }
  while (kills.length < count) {
    for (const [index, at] of random.shuffle(everyCombination()).entries()) {
      add({ place: at.place, side: at.side }, at.victim);
      if (index % 2 === 1 || count - kills.length === 1) add(null, random.pick(VICTIMS));
    }
  }
  return kills;
}

function everyCombination(): { place: Place; side: Side; victim: Victim }[] {
  return allPlaces().flatMap((place) =>
    place.sides.flatMap((side) => VICTIMS.map((victim) => ({ place, side, victim }))),
  );
}

function makeKill(random: Random, at: Kill['at'], victim: Victim): Kill {
  const downMs = (): number => Math.round(random.between(50, random.chance(0.2) ? 3_000 : 500));
  return {
    victim,
    at,
    downMs: { postgres: downMs(), clickhouse: downMs(), temporal: downMs(), api: downMs(), worker: downMs() },
    pauseMs: Math.round(random.between(200, 2_500)),
  };
}

export function componentsOf(victim: Victim): readonly Component[] {
  return victim === 'all' ? COMPONENTS : [victim];
}
