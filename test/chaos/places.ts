import { stepsOf, type TaskKind } from '../../src/tasks/index.ts';

/**
 * How a place is reached. Points of the database (see gate.ts): the session that passes the point is held inside its transaction.
 *
 * - unsaved: it is killed there, so what the transaction writes is lost.
 * - saved: Temporal is stopped first, the transaction commits, and then it is killed: the checkpoint is there, and Temporal never
 *   heard of it.
 * - inside: past the point, in the middle of what comes then: a query on its way to a ClickHouse that is stopped, or a request
 *   that a receiver has taken and not answered.
 */
export type Side =
  | { name: 'unsaved' | 'saved'; point: string }
  | { name: 'inside'; point: string; waitsFor: 'clickhouse' }
  | { name: 'inside'; waitsFor: 'audience' | 'batch' };

/** Where kills happen: between two steps, or in the middle of a long one, or at what carries tasks. */
export interface Place {
  name: string;
  /** Whether the coverage is complete only with it: the steps' boundaries and insides. */
  required: boolean;
  /** What has to happen for someone to come by. */
  needs: 'run' | 'sync' | 'failure' | 'events';
  sides: Side[];
}

/** Every place, made from the kinds of task as they are. */
export function allPlaces(): Place[] {
  return [...placesOf('run'), ...placesOf('sync'), ...CARRIERS];
}

function placesOf(kind: TaskKind): Place[] {
  const steps = stepsOf(kind);
  const places: Place[] = [];
  const place = (name: string, sides: Side[]): void => {
    places.push({ name, required: true, needs: kind, sides });
  };
  for (const [index, step] of steps.entries()) {
    const before = steps[index - 1];
    const long = step.runsAs === 'activity';
    // Transactions that are neighbours may be one: then the point between them is inside of it, and never saved alone.
    const shared = before?.runsAs === 'transaction' && !long;
    const leaving = before === undefined ? `attempt:${kind}` : `complete:${before.name}`;
    place(`${before?.name ?? `begin ${kind}`} → ${step.name}`, [
      { name: 'unsaved', point: leaving },
      ...(shared ? [] : [{ name: 'saved' as const, point: leaving }]),
      ...(long ? [{ name: 'unsaved' as const, point: `begin:${step.name}` }] : []),
    ]);
    if (long) place(`inside ${step.name}`, sidesInside(step.name));
  }
  place(`${steps.at(-1)?.name} → end of ${kind}`, [
    { name: 'unsaved', point: `end:${kind}` },
    { name: 'saved', point: `end:${kind}` },
  ]);
  return places;
}

function sidesInside(step: string): Side[] {
  if (step === 'prepare') return [{ name: 'inside', waitsFor: 'audience' }];
  if (step === 'deliver') {
    return [
      { name: 'inside', waitsFor: 'batch' },
      // The receiver has answered 200, and that is written down: lost, or there.
      { name: 'unsaved', point: 'cursor:deliver' },
      { name: 'saved', point: 'cursor:deliver' },
    ];
  }
  return [{ name: 'inside', point: `begin:${step}`, waitsFor: 'clickhouse' }];
}

const CARRIERS: Place[] = [
  carrier('a run is written', 'run', 'task:run'),
  carrier('a sync is written', 'sync', 'task:sync'),
  carrier('a run is dispatched', 'run', 'dispatched:run'),
  carrier('a sync is dispatched', 'sync', 'dispatched:sync'),
  carrier('a failure is recorded', 'failure', 'failure'),
  carrier('a baseline is advanced', 'sync', 'folded'),
  carrier('events are accepted', 'events', 'ingest'),
  carrier('a range is claimed', 'events', 'loader:claimed'),
  carrier('a range is loaded', 'events', 'loader:loaded'),
];

function carrier(name: string, needs: Place['needs'], point: string): Place {
  return {
    name,
    required: false,
    needs,
    sides: [
      { name: 'unsaved', point },
      { name: 'saved', point },
    ],
  };
}
