import { describe, expect, test } from 'vitest';
import { allPlaces } from '../chaos/places.ts';
import { planKills, type Kill } from '../chaos/plan.ts';
import { Random } from '../chaos/random.ts';

const plan = (seed: number, kills: number): Kill[] => planKills(new Random(seed), kills);
const placesOf = (kills: readonly Kill[]): Set<string> => new Set(kills.flatMap(({ at }) => at?.place.name ?? []));
const required = allPlaces().filter((place) => place.required);

describe('the plan of what is killed where', () => {
  test('has a place between any two steps of both kinds of task, and one inside of each long step', () => {
    expect(required.map(({ name }) => name)).toEqual([
      'begin run → pin',
      'pin → compute',
      'inside compute',
      'compute → diff',
      'inside diff',
      'diff → guard',
      'guard → commit',
      'commit → fan_out',
      'fan_out → end of run',
      'begin sync → prepare',
      'inside prepare',
      'prepare → extract',
      'inside extract',
      'extract → deliver',
      'inside deliver',
      'deliver → reconcile',
      'reconcile → finish',
      'finish → end of sync',
    ]);
  });

  test('is the same for the same seed, and another for another', () => {
    expect(plan(7, 100)).toEqual(plan(7, 100));
    expect(plan(7, 100)).not.toEqual(plan(8, 100));
  });

  test.each([1, 2, 3, 4, 5])('of twenty kills hits every place that has to be hit, and everyone (seed %i)', (seed) => {
    const kills = plan(seed, 20);
    expect(kills).toHaveLength(20);
    expect(placesOf(kills)).toEqual(new Set(required.map(({ name }) => name)));
    expect(new Set(kills.map(({ victim }) => victim))).toEqual(
      new Set(['worker', 'api', 'postgres', 'temporal', 'clickhouse', 'all']),
    );
  });

  test('of five hundred kills hits every place on every side with everyone, and random moments', () => {
    const kills = plan(1, 500);
    const hit = new Set(kills.map(({ at, victim }) => `${at?.place.name} ${JSON.stringify(at?.side)} ${victim}`));
    for (const place of allPlaces()) {
      for (const side of place.sides) {
        for (const victim of ['worker', 'api', 'postgres', 'temporal', 'clickhouse', 'all']) {
          expect(hit).toContain(`${place.name} ${JSON.stringify(side)} ${victim}`);
        }
      }
    }
    expect(kills.filter(({ at }) => at === null).length).toBeGreaterThan(100);
  });
});
