import { readOverdueAlerts } from '../alerts/index.ts';
import { scheduleLag } from '../computations/index.ts';
import { findRestore, loaderLag } from '../pipeline/index.ts';
import type { Queryable } from '../store/index.ts';
import { countOverdueTasks, readBacklog, readUnrecorded } from '../tasks/index.ts';
import { sayDuration, type HealthFinding, type HealthLimits } from './findings.ts';
import { readMarks, type Mark } from './marks.ts';
import { readLogHolder } from './log-holder.ts';

// A tick that is late by a few is no silence.
const TICKS = 6;
// Caps keep tasks waiting where many come at once, so that is no fault for a while.
const WAITING_FACTOR = 20;
// The reconciler wakes what is overdue within a minute.
const OVERDUE_FACTOR = 4;
const RESTORED_SECONDS = 3_600;

/** What PostgreSQL tells of the work, of every consumer: one short statement each. */
export async function lookAtDatabase(db: Queryable, { afterSeconds }: HealthLimits): Promise<HealthFinding[]> {
  const marks = await readMarks(db);
  const everySeconds = Number(marks.schedules_checked?.details['everySeconds'] ?? 0);
  return [
    ...lookAtTick(marks.scheduler, Math.max(afterSeconds, TICKS * everySeconds)),
    ...lookAtRestored(marks.schedules_restored),
    ...(await lookAtLog(db, afterSeconds)),
    ...(await lookAtTasks(db, afterSeconds, everySeconds)),
    ...(await lookAtAlerts(db, afterSeconds)),
  ];
}

function lookAtTick(tick: Mark | undefined, limitSeconds: number): HealthFinding[] {
  if (tick !== undefined && tick.ageSeconds <= limitSeconds) return [];
  const since = tick === undefined ? 'ever' : `for ${sayDuration(tick.ageSeconds)}`;
  return [
    {
      code: 'scheduler_silent',
      severity: 'degraded',
      message: `The scheduler has not done its work ${since}: nothing new is run or sent.`,
      remedy:
        'Start a worker that serves workflows, or look at the log of the one there is, and whether Temporal answers.',
    },
  ];
}

function lookAtRestored(restored: Mark | undefined): HealthFinding[] {
  if (restored === undefined || restored.ageSeconds > RESTORED_SECONDS) return [];
  const list = restored.details['schedules'] as { scheduleId: string; found: string[] }[] | undefined;
  return [
    {
      code: 'schedules_restored',
      severity: 'notice',
      message: `${sayDuration(restored.ageSeconds)} ago schedules in Temporal were not as they have to be, and were put right.`,
      remedy:
        'If nobody here did that, someone else reaches Temporal: see "What other users of the machine can do" in docs/operations.md.',
      detail: (list ?? []).map(({ scheduleId, found }) => `${scheduleId}: ${found.join(', ')}`).join('; '),
    },
  ];
}

async function lookAtLog(db: Queryable, afterSeconds: number): Promise<HealthFinding[]> {
  const findings: HealthFinding[] = [];
  const holder = await readLogHolder(db);
  if (holder.ageSeconds > afterSeconds) {
    findings.push({
      code: 'log_held_back',
      severity: 'degraded',
      message: `A transaction in PostgreSQL has been open for ${sayDuration(holder.ageSeconds)}: events that came in since it began wait for its end.`,
      remedy: 'End it where it was begun, or with pg_terminate_backend (ROLLBACK PREPARED for one that is prepared).',
      detail: holder.who,
    });
  }
  // Also where the server's transactions have caught up meanwhile: what has to be put right is written down.
  if (holder.positionsImpossible || (await findRestore(db)) !== undefined) {
    findings.push({
      code: 'positions_impossible',
      severity: 'stopped',
      message:
        'The event log has places that this PostgreSQL has not reached: it was restored into another cluster. What comes in now is not loaded.',
      remedy: 'trailmark restore says what has to be done, trailmark restore --apply does it: see docs/backup.md.',
    });
  }
  const { rows, seconds } = await loaderLag(db);
  if (seconds > afterSeconds) {
    findings.push({
      code: 'events_waiting',
      severity: 'degraded',
      message: `Events have waited for ${sayDuration(seconds)} to be loaded into ClickHouse: audiences don't see them yet.`,
      remedy:
        'Start a worker that serves compute, or look at the log of the one there is, and whether ClickHouse answers.',
      detail: `${rows} events`,
    });
  }
  return findings;
}

async function lookAtTasks(db: Queryable, afterSeconds: number, everySeconds: number): Promise<HealthFinding[]> {
  const findings: HealthFinding[] = [];
  const late = await scheduleLag(db);
  if (late.seconds > afterSeconds + TICKS * everySeconds) {
    findings.push({
      code: 'runs_late',
      severity: 'degraded',
      message: `Computations have been due for ${sayDuration(late.seconds)} without a run.`,
      remedy: 'Look for scheduler_silent and no_worker; else see which caps are reached in docs/operations.md.',
      detail: `${late.due} computations`,
    });
  }
  const { waiting } = await readBacklog(db);
  const oldest = Math.max(...waiting.map(({ oldestSeconds }) => oldestSeconds));
  if (oldest > afterSeconds * WAITING_FACTOR) {
    findings.push({
      code: 'tasks_waiting',
      severity: 'degraded',
      message: `Tasks have waited for ${sayDuration(oldest)} for their turn.`,
      remedy: 'Add workers, or raise TRAILMARK_MAX_IN_FLIGHT and the slots where the engines have room.',
      detail: waiting.map(({ kind, count }) => `${count} of kind ${kind}`).join(', '),
    });
  }
  const overdue = await countOverdueTasks(db, afterSeconds * OVERDUE_FACTOR);
  if (overdue.count > 0) {
    findings.push({
      code: 'tasks_overdue',
      severity: 'degraded',
      message: `${overdue.count} ${overdue.count === 1 ? 'task does' : 'tasks do'} not go on, though nothing holds ${overdue.count === 1 ? 'it' : 'them'} back.`,
      remedy:
        'Look for no_worker; else the reconciler mends it within minutes, and its events in the trail say what it found.',
      detail: `the oldest is ${overdue.oldest}, since ${sayDuration(overdue.seconds)}`,
    });
  }
  const unrecorded = await readUnrecorded(db);
  if (unrecorded.count > 0) {
    findings.push({
      code: 'bookkeeping_refused',
      severity: 'degraded',
      message: `PostgreSQL refuses the bookkeeping of ${unrecorded.count} ${unrecorded.count === 1 ? 'task' : 'tasks'}: tried again for ever, and no way on.`,
      remedy:
        'The log of the workers has the reason: this is a fault of Trailmark to report. Cancel the task to be rid of it.',
      detail: unrecorded.example === null ? '' : `${unrecorded.example.taskId}: ${unrecorded.example.because}`,
    });
  }
  return findings;
}

async function lookAtAlerts(db: Queryable, afterSeconds: number): Promise<HealthFinding[]> {
  const { held, deliveries } = await readOverdueAlerts(db, afterSeconds);
  const findings: HealthFinding[] = [];
  if (held > 0) {
    findings.push({
      code: 'alerts_overdue',
      severity: 'degraded',
      message: `${held} held ${held === 1 ? 'alert is' : 'alerts are'} past the end of the hold and not released.`,
      remedy: 'An api releases them every five seconds: start one, or look at its log.',
    });
  }
  if (deliveries > 0) {
    findings.push({
      code: 'deliveries_waiting',
      severity: 'degraded',
      message: `${deliveries} ${deliveries === 1 ? 'delivery' : 'deliveries'} of alerts should have been tried, and were not.`,
      remedy: 'Start a worker that serves alerts, or look at the log of the one there is.',
    });
  }
  return findings;
}
