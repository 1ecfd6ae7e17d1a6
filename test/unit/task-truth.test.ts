import { describe, expect, it } from 'vitest';
import { taskTruth } from '../../src/tasks/read-task.ts';

type Task = Parameters<typeof taskTruth>[0];

const at = new Date('2026-01-31T12:00:00Z');

function failedAttempt(attempt: number): Task['attempts'][number] {
  return {
    attempt,
    startedAt: at,
    endedAt: at,
    outcome: 'failed',
    step: 'deliver',
    code: 'destination_unavailable',
    failureClass: 'transient',
    message: 'The destination answered with a server error.',
  };
}

function task(status: Task['status'], attempt: number, failed: number): Task {
  return {
    kind: 'sync',
    status,
    attempt,
    maxAttempts: 6,
    retryAt: status === 'backing_off' ? at : null,
    attempts: Array.from({ length: failed }, (_, index) => failedAttempt(index + 1)),
  };
}

describe('taskTruth', () => {
  it.each([
    ['pending', task('pending', 0, 0), null, 'waiting'],
    ['running', task('running', 1, 0), null, 'running'],
    ['running after a failure', task('running', 2, 1), null, 'retrying'],
    ['backing off', task('backing_off', 1, 1), null, 'retrying'],
    ['succeeded at once', task('succeeded', 1, 0), null, 'succeeded'],
    ['recovered', task('succeeded', 3, 2), null, 'recovered'],
    ['hard-failed', task('failed', 6, 6), null, 'hard_failure'],
    ['hard-failed and made good', task('failed', 6, 6), at, 'made_good'],
    ['cancelled', task('cancelled', 1, 1), null, 'cancelled'],
  ] as const)('of a task that is %s', (_name, given, madeGoodAt, state) => {
    const truth = taskTruth(given, madeGoodAt);
    expect(truth.state).toBe(state);
    // The one state in which somebody has to act: everything else heals by itself, or has.
    expect(truth.needsAction).toBe(state === 'hard_failure');
  });

  it('says how often, where and what', () => {
    expect(taskTruth(task('succeeded', 3, 2), null).sentence).toBe(
      'Recovered: attempt 3 of 6 succeeded, after 2 failed attempts.',
    );
    expect(taskTruth(task('backing_off', 1, 1), null).sentence).toBe(
      'Attempt 1 of 6 failed at deliver; it is tried again at 2026-01-31 12:00:00 UTC. Nobody has to act.',
    );
    expect(taskTruth(task('failed', 6, 6), null).sentence).toBe(
      'Hard failure at deliver, attempt 6 of 6: it is not tried any more. The destination answered with a server error.',
    );
  });
});
