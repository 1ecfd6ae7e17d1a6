import type { TaskView, Truth } from './task-view.ts';

type TruthInputs = Pick<
  TaskView,
  | 'computation'
  | 'kind'
  | 'status'
  | 'attempt'
  | 'maxAttempts'
  | 'admittedAt'
  | 'startedAt'
  | 'retryAt'
  | 'lateMs'
  | 'missedSlots'
  | 'waitingFor'
  | 'waitingUntil'
  | 'pausedAt'
  | 'guard'
  | 'cancelledBecause'
> & { attempts: readonly Pick<TaskView['attempts'][number], 'outcome' | 'step' | 'message'>[] };

/** What is true besides the task itself. */
export interface TruthFacts {
  /** When a later task of its kind succeeded, of one that failed for good. */
  resolvedLaterAt: Date | null;
  /** Whether the scheduler has said that nothing ran at the task's time: it was late for no run that it had to wait for. */
  nothingRan: boolean;
}

// A run begins a moment after its slot as a rule: nobody calls that late.
const LATE_FROM_MS = 60_000;

/**
 * What is true of a task now, in one sentence, and in a second one where its run came late. A hard failure that a later task
 * of its kind resolved needs nobody.
 */
export function taskTruth(task: TruthInputs, facts: TruthFacts): Truth {
  const truth = truthOf(task, facts.resolvedLaterAt);
  const late = lateness(task, facts.nothingRan);
  return late === null ? truth : { ...truth, sentence: `${truth.sentence} ${late}` };
}

function truthOf(task: TruthInputs, resolvedLaterAt: Date | null): Truth {
  const of = `${task.attempt} of ${task.maxAttempts}`;
  const failed = task.attempts.filter((attempt) => attempt.outcome === 'failed');
  const last = failed.at(-1);
  const where = last?.step == null ? '' : ` at ${last.step}`;
  const times = failed.length === 1 ? 'one failed attempt' : `${failed.length} failed attempts`;
  const held = heldBack(task);
  if (held !== null) return held;
  switch (task.status) {
    case 'pending':
      return quiet('waiting', task.admittedAt === null ? 'Waiting for its turn.' : 'Waiting to begin.');
    case 'running':
      return failed.length === 0
        ? quiet('running', `Attempt ${of} is running.`)
        : quiet('retrying', `Attempt ${of} is running, after ${times}.`);
    case 'backing_off': {
      const when = task.retryAt === null ? '' : ` at ${clock(task.retryAt)}`;
      return quiet('retrying', `Attempt ${of} failed${where}; it is tried again${when}. Nobody has to act.`);
    }
    case 'awaiting_approval':
      return { state: 'awaiting_approval', needsAction: true, sentence: approvalSentence(task) };
    case 'succeeded':
      return failed.length === 0
        ? quiet('succeeded', 'Succeeded at the first attempt.')
        : quiet('recovered', `Recovered: attempt ${of} succeeded, after ${times}.`);
    case 'failed':
      return resolvedLaterAt === null
        ? {
            state: 'hard_failure',
            needsAction: true,
            sentence: `Hard failure${where}, attempt ${of}: it is not tried any more. ${last?.message ?? ''}`.trim(),
          }
        : quiet(
            'resolved_later',
            `Hard failure${where}, attempt ${of}; a later ${task.kind} succeeded at ${clock(resolvedLaterAt)}. Nobody has to act.`,
          );
    case 'cancelled':
      return quiet('cancelled', CANCELLED[task.cancelledBecause ?? 'obsolete']);
    default:
      return unknownStatus(task.status);
  }
}

/** What holds back a task that is open, and that nobody has to be asked about. */
function heldBack(task: TruthInputs): Truth | null {
  const { status, pausedAt, waitingFor, waitingUntil } = task;
  if (status !== 'pending' && status !== 'running' && status !== 'backing_off') return null;
  if (pausedAt !== null) {
    return quiet(
      'paused',
      `Paused since ${clock(pausedAt)}: it keeps what it has done, and goes on from there when it is resumed.`,
    );
  }
  if (status !== 'running' || waitingFor === null || waitingUntil === null) return null;
  if (waitingFor === 'events') {
    return quiet(
      'waiting_for_events',
      `Waits until the events that came in before it are loaded, up to ${clock(waitingUntil)}; then it computes without those that are not, and says so. Nobody has to act.`,
    );
  }
  return quiet(
    'waiting_for_destination',
    `${WAITS[waitingFor]} Attempt ${task.attempt} of ${task.maxAttempts} goes on at ${clock(waitingUntil)}. Nobody has to act.`,
  );
}

const WAITS = {
  rate_limit: 'The destination asked to slow down.',
  circuit: 'The destination failed several times in a row and is left alone for a while.',
};

const CANCELLED = {
  asked: 'Cancelled before its outcome, because someone asked for it.',
  discarded: 'Discarded by a person: the live version stays as it was.',
  superseded: 'Cancelled before its outcome: another task does what it was for.',
  obsolete: 'Cancelled before its outcome: nobody needs it.',
};

function approvalSentence({ computation, guard, pausedAt }: TruthInputs): string {
  const those = computation.kind === 'audience' ? 'members' : 'values';
  const what =
    guard === null
      ? `It would remove more ${those} than it may without asking.`
      : `It would remove ${count(guard.exited)} of ${count(guard.before)} ${those} (${percent(guard.exitedShare)}).`;
  const paused = pausedAt === null ? '' : ' It is paused too, and goes on when it is resumed.';
  return `Waiting for approval. ${what} Nothing has changed yet: approve or discard it.${paused}`;
}

/** `Ran 3 h late: nothing ran at its time; 4 slots were missed, run once.` Null for a task that came in time. */
function lateness({ startedAt, lateMs, missedSlots, status }: TruthInputs, nothingRan: boolean): string | null {
  const late = lateMs ?? 0;
  if (late < LATE_FROM_MS && missedSlots === 0 && !nothingRan) return null;
  const verb = startedAt === null ? (status === 'pending' ? 'Runs' : 'Was due to run') : 'Ran';
  const missed =
    missedSlots === 0
      ? ''
      : `; ${missedSlots === 1 ? 'one slot was' : `${count(missedSlots)} slots were`} missed, run once`;
  const why = nothingRan ? ': nothing ran at its time' : missedSlots > 0 ? ', after a run that it had to wait for' : '';
  return `${verb} ${inWords(late)} late${why}${missed}.`;
}

/** A duration as people say it, in its two largest units: `45 s`, `3 h`, `3 h 20 min`, `2 d 4 h`. */
export function inWords(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const units = [
    ['d', Math.floor(seconds / 86_400)],
    ['h', Math.floor(seconds / 3_600) % 24],
    ['min', Math.floor(seconds / 60) % 60],
    ['s', seconds % 60],
  ] as const;
  const first = units.findIndex(([, value]) => value > 0);
  if (first === -1) return '0 s';
  return units
    .slice(first, first + 2)
    .filter(([, value]) => value > 0)
    .map(([unit, value]) => `${value} ${unit}`)
    .join(' ');
}

function quiet(state: Truth['state'], sentence: string): Truth {
  return { state, needsAction: false, sentence };
}

function unknownStatus(status: never): never {
  throw new Error(`no task has the status ${String(status)}`);
}

function clock(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** Rounded, but never to all or to none where it is neither. */
function percent(share: number): string {
  const rounded = Math.round(share * 100);
  if (rounded === 0 && share > 0) return 'under 1 %';
  return rounded === 100 && share < 1 ? 'over 99 %' : `${rounded} %`;
}
