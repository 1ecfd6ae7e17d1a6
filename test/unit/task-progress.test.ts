import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { taskProgress } from '../../src/tasks/history/task-progress.ts';

type Task = Parameters<typeof taskProgress>[0];
type Execution = Task['executions'][number];

const STARTED = new Date('2026-01-31T12:00:00Z');
const after = (ms: number): number => STARTED.getTime() + ms;

function execution(change: Partial<Execution> = {}): Execution {
  return {
    step: 'deliver',
    execution: 1,
    startedAt: STARTED,
    endedAt: null,
    durationMs: null,
    outcome: null,
    code: null,
    rowsIn: 500,
    rowsOut: 490,
    rejected: 10,
    ...change,
  };
}

function task(change: Partial<Task> = {}): Task {
  return {
    status: 'running',
    pausedAt: null,
    waitingUntil: null,
    steps: [
      { name: 'extract', startedAt: STARTED, completedAt: STARTED, executions: 1, progress: { done: 7, total: 7 } },
      {
        name: 'deliver',
        startedAt: STARTED,
        completedAt: null,
        executions: 1,
        progress: { done: 2_500, total: 4_000 },
      },
      { name: 'reconcile', startedAt: null, completedAt: null, executions: 0, progress: null },
    ],
    executions: [execution()],
    ...change,
  };
}

describe('how far a task is', () => {
  it('is that of the step under way, at the rate of this execution alone', () => {
    expect(taskProgress(task(), after(10_000))).toEqual({
      step: 'deliver',
      done: 2_500,
      total: 4_000,
      rowsPerSecond: 50,
      secondsLeft: 30,
    });
  });

  it.each([
    ['in its first second', task(), 900],
    ['before its first batch', task({ executions: [execution({ rowsIn: 0 })] }), 10_000],
    ['where it does not count', task({ executions: [execution({ rowsIn: null })] }), 10_000],
    ['between executions', task({ executions: [execution({ endedAt: STARTED, outcome: 'interrupted' })] }), 10_000],
    ['while it waits', task({ waitingUntil: STARTED }), 10_000],
    ['while it is paused', task({ pausedAt: STARTED }), 10_000],
    ['between attempts', task({ status: 'backing_off' }), 10_000],
    ['by a clock that went back', task(), -5_000],
  ])('has no rate and no time left %s', (_when, given, ms) => {
    expect(taskProgress(given, after(ms))).toMatchObject({
      done: 2_500,
      total: 4_000,
      rowsPerSecond: null,
      secondsLeft: null,
    });
  });

  it.each([
    ['has ended', task({ status: 'succeeded' })],
    ['has not begun', task({ status: 'pending' })],
    ['waits for approval', task({ status: 'awaiting_approval' })],
    ['is in a step that counts no rows', task({ steps: [{ ...stepAt(0), completedAt: null, progress: null }] })],
  ])('is not said of a task that %s', (_what, given) => {
    expect(taskProgress(given, after(10_000))).toBeNull();
  });

  it('is never negative, never over the whole, and never infinite', () => {
    const count = fc.integer({ min: -10, max: 1_000_000 });
    fc.assert(
      fc.property(
        count,
        count,
        fc.option(count),
        fc.integer({ min: -1_000, max: 10_000_000 }),
        (done, total, rowsIn, ms) => {
          const progress = taskProgress(
            task({
              steps: [{ ...stepAt(1), progress: { done, total } }],
              executions: [execution({ rowsIn })],
            }),
            after(ms),
          );
          expect(progress).not.toBeNull();
          const { done: shown = -1, total: of = -1, rowsPerSecond = -1, secondsLeft = -1 } = progress ?? {};
          expect(shown >= 0 && shown <= of).toBe(true);
          for (const value of [rowsPerSecond, secondsLeft]) {
            expect(value === null || (Number.isFinite(value) && value >= 0)).toBe(true);
          }
        },
      ),
    );
  });
});

function stepAt(index: number): Task['steps'][number] {
  const step = task().steps[index];
  if (step === undefined) throw new Error('no such step');
  return step;
}
