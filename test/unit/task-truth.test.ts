import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inWords, taskTruth } from '../../src/tasks/history/task-truth.ts';

type Task = Parameters<typeof taskTruth>[0];

const at = new Date('2026-01-31T12:00:00Z');
const HOUR_MS = 3_600_000;

const FAILED = {
  outcome: 'failed',
  step: 'deliver',
  message: 'The destination answered with a server error.',
} as const;

function task(status: Task['status'], attempt: number, failed: number, more: Partial<Task> = {}): Task {
  return {
    computation: { id: 'aud_1', kind: 'audience', key: 'a', name: 'A' },
    kind: 'sync',
    status,
    attempt,
    maxAttempts: 6,
    admittedAt: at,
    startedAt: attempt === 0 ? null : at,
    retryAt: status === 'backing_off' ? at : null,
    lateMs: null,
    missedSlots: 0,
    waitingFor: null,
    waitingUntil: null,
    pausedAt: null,
    guard: null,
    cancelledBecause: null,
    attempts: Array.from({ length: failed }, () => FAILED),
    ...more,
  };
}

const paused = { pausedAt: at };
const slow = { waitingFor: 'rate_limit', waitingUntil: at } as const;
const guard = { before: 1_000, after: 720, entered: 20, exited: 300, exitedShare: 0.3 };

describe('taskTruth', () => {
  it.each([
    ['pending', task('pending', 0, 0), null, 'waiting'],
    ['not admitted', task('pending', 0, 0, { admittedAt: null }), null, 'waiting'],
    ['running', task('running', 1, 0), null, 'running'],
    ['running after a failure', task('running', 2, 1), null, 'retrying'],
    ['backing off', task('backing_off', 1, 1), null, 'retrying'],
    ['paused before it began', task('pending', 0, 0, paused), null, 'paused'],
    ['paused under way', task('running', 1, 0, paused), null, 'paused'],
    ['paused between attempts', task('backing_off', 1, 1, paused), null, 'paused'],
    ['paused while it waits', task('running', 1, 0, { ...paused, ...slow }), null, 'paused'],
    ['asked to slow down', task('running', 1, 0, slow), null, 'waiting_for_destination'],
    [
      'left alone by its circuit',
      task('running', 1, 0, { ...slow, waitingFor: 'circuit' }),
      null,
      'waiting_for_destination',
    ],
    ['waiting for events', task('running', 1, 0, { ...slow, waitingFor: 'events' }), null, 'waiting_for_events'],
    ['stopped by the guard', task('awaiting_approval', 1, 0, { guard }), null, 'awaiting_approval'],
    ['stopped by the guard, and paused', task('awaiting_approval', 1, 0, paused), null, 'awaiting_approval'],
    ['succeeded at once', task('succeeded', 1, 0), null, 'succeeded'],
    ['recovered', task('succeeded', 3, 2), null, 'recovered'],
    ['hard-failed', task('failed', 6, 6), null, 'hard_failure'],
    ['hard-failed and resolved later', task('failed', 6, 6), at, 'resolved_later'],
    ['cancelled', task('cancelled', 1, 1), null, 'cancelled'],
  ] as const)('of a task that is %s', (_name, given, resolvedLaterAt, state) => {
    const truth = taskTruth(given, { resolvedLaterAt, nothingRan: false });
    expect(truth.state).toBe(state);
    // The two states in which somebody has to act: everything else heals by itself, or has.
    expect(truth.needsAction).toBe(state === 'hard_failure' || state === 'awaiting_approval');
  });

  it.each([
    [task('succeeded', 3, 2), 'Recovered: attempt 3 of 6 succeeded, after 2 failed attempts.'],
    [
      task('backing_off', 1, 1),
      'Attempt 1 of 6 failed at deliver; it is tried again at 2026-01-31 12:00:00 UTC. Nobody has to act.',
    ],
    [
      task('failed', 6, 6),
      'Hard failure at deliver, attempt 6 of 6: it is not tried any more. The destination answered with a server error.',
    ],
    [task('pending', 0, 0, { admittedAt: null }), 'Waiting for its turn.'],
    [
      task('running', 2, 1, paused),
      'Paused since 2026-01-31 12:00:00 UTC: it keeps what it has done, and goes on from there when it is resumed.',
    ],
    [
      task('running', 2, 1, slow),
      'The destination asked to slow down. Attempt 2 of 6 goes on at 2026-01-31 12:00:00 UTC. Nobody has to act.',
    ],
    [
      task('running', 1, 0, { ...slow, waitingFor: 'circuit' }),
      'The destination failed several times in a row and is left alone for a while. Attempt 1 of 6 goes on at 2026-01-31 12:00:00 UTC. Nobody has to act.',
    ],
    [
      task('running', 1, 0, { ...slow, waitingFor: 'events' }),
      'Waits until the events that came in before it are loaded, up to 2026-01-31 12:00:00 UTC; then it computes without those that are not, and says so. Nobody has to act.',
    ],
    [
      task('awaiting_approval', 1, 0, {
        guard,
        computation: { id: 'ctr_1', kind: 'computed_trait', key: 'c', name: 'C' },
      }),
      'Waiting for approval. It would remove 300 of 1,000 values (30 %). Nothing has changed yet: approve or discard it.',
    ],
    [
      task('awaiting_approval', 1, 0, { guard }),
      'Waiting for approval. It would remove 300 of 1,000 members (30 %). Nothing has changed yet: approve or discard it.',
    ],
    [
      task('awaiting_approval', 1, 0, { guard: { ...guard, exited: 999, exitedShare: 0.999 }, ...paused }),
      'Waiting for approval. It would remove 999 of 1,000 members (over 99 %). Nothing has changed yet: approve or discard it. It is paused too, and goes on when it is resumed.',
    ],
    [
      task('cancelled', 1, 0, { cancelledBecause: 'discarded' }),
      'Discarded by a person: the live version stays as it was.',
    ],
    [
      task('cancelled', 1, 0, { cancelledBecause: 'asked' }),
      'Cancelled before its outcome, because someone asked for it.',
    ],
  ])('says how often, where, what and until when', (given, sentence) => {
    expect(taskTruth(given, { resolvedLaterAt: null, nothingRan: false }).sentence).toBe(sentence);
  });

  it.each([
    [
      'succeeded',
      { lateMs: 3 * HOUR_MS, missedSlots: 4 },
      true,
      'Ran 3 h late: nothing ran at its time; 4 slots were missed, run once.',
    ],
    [
      'running',
      { lateMs: 3 * HOUR_MS, missedSlots: 1 },
      true,
      'Ran 3 h late: nothing ran at its time; one slot was missed, run once.',
    ],
    ['pending', { lateMs: 90_000 }, true, 'Runs 1 min 30 s late: nothing ran at its time.'],
    [
      'succeeded',
      { lateMs: 2 * HOUR_MS, missedSlots: 2 },
      false,
      'Ran 2 h late, after a run that it had to wait for; 2 slots were missed, run once.',
    ],
    ['succeeded', { lateMs: 10 * 60_000 }, false, 'Ran 10 min late.'],
    // A moment after its slot is in time.
    ['succeeded', { lateMs: 900 }, false, null],
  ] as const)('says of a run that has %s how late it came', (status, late, nothingRan, sentence) => {
    const given = task(status, status === 'pending' ? 0 : 1, 0, { kind: 'run', ...late });
    const facts = { resolvedLaterAt: null, nothingRan };
    const inTime = taskTruth({ ...given, lateMs: null, missedSlots: 0 }, { ...facts, nothingRan: false }).sentence;
    expect(taskTruth(given, facts).sentence).toBe(sentence === null ? inTime : `${inTime} ${sentence}`);
  });
});

describe('inWords', () => {
  it.each([
    [0, '0 s'],
    [400, '0 s'],
    [-5_000, '0 s'],
    [45_000, '45 s'],
    [60_000, '1 min'],
    [3 * HOUR_MS, '3 h'],
    [3 * HOUR_MS + 20 * 60_000 + 5_000, '3 h 20 min'],
    [3 * HOUR_MS + 5_000, '3 h'],
    [52 * HOUR_MS, '2 d 4 h'],
  ])('says %i ms as %s', (ms, words) => {
    expect(inWords(ms)).toBe(words);
  });

  it('never says more than it is, and less by no more than its smaller unit', () => {
    const UNITS = { d: 86_400, h: 3_600, min: 60, s: 1 };
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 400 * 86_400 }), (seconds) => {
        const parts = [...inWords(seconds * 1_000).matchAll(/(\d+) (d|h|min|s)/g)];
        const said = parts.reduce((sum, [, value, unit]) => sum + Number(value) * UNITS[unit as keyof typeof UNITS], 0);
        const smallest = seconds >= 86_400 ? 3_600 : seconds >= 3_600 ? 60 : 1;
        return said <= seconds && seconds - said < smallest;
      }),
    );
  });
});
