import { createNoopMeter, type Counter, type Histogram, type Meter } from '@opentelemetry/api';

/**
 * What this process counts and times. Names, units and labels are the same in Prometheus and over OTLP: a unit is spelt out in
 * the name, and a counter gets its `_total` from whoever writes Prometheus' text. No label is an id, so that the number of
 * series is bounded by what the program knows (kinds, steps, failure codes, slugs of destinations) and not by its use.
 * docs/operations.md has the same list for people.
 */

type Kind = 'run' | 'sync';
type TaskOutcome = 'succeeded' | 'failed' | 'cancelled';
type StepOutcome = 'completed' | 'failed' | 'interrupted';
type RowOutcome = 'delivered' | 'rejected' | 'skipped' | 'retry';
type AlertKind = 'transient_failure' | 'hard_failure' | 'recovery' | 'notice';
type AlertDecision = 'sent' | 'held' | 'folded' | 'released' | 'suppressed';

// From the milliseconds of a step in a transaction to the four hours that a delivery may take.
const STEP_BUCKETS_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1_800, 3_600, 14_400,
];
// Up to the deadline of one call, which may make several requests of 30 s.
const REQUEST_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180];

interface Instruments {
  taskOutcomes: Counter;
  taskRecoveries: Counter;
  taskAttempts: Counter;
  bookkeepingFailures: Counter;
  lostSteps: Counter;
  stepDuration: Histogram;
  slotWait: Histogram;
  deliveryRows: Counter;
  requestDuration: Histogram;
  circuitOpenings: Counter;
  alertDecisions: Counter;
  alertDeliveries: Counter;
  eventWarnings: Counter;
  restoredSchedules: Counter;
  quarantinedEvents: Counter;
}

let instruments = createInstruments(createNoopMeter());

/**
 * Lets everything below count with this meter; until a program calls it, and after `uninstallMetrics`, nothing is counted and a
 * call costs next to nothing. Series whose labels are known from the start begin at 0, so that the first failure after a
 * start is an increase and not a series that was not there before.
 */
export function installMetrics(meter: Meter): void {
  instruments = createInstruments(meter);
  for (const kind of ['run', 'sync'] as const) {
    for (const outcome of ['succeeded', 'failed', 'cancelled'] as const)
      instruments.taskOutcomes.add(0, { kind, outcome });
    instruments.taskRecoveries.add(0, { kind });
  }
  instruments.restoredSchedules.add(0);
  for (const outcome of ['delivered', 'retry', 'dead'] as const) instruments.alertDeliveries.add(0, { outcome });
}

export function uninstallMetrics(): void {
  instruments = createInstruments(createNoopMeter());
}

/** So many schedules were not as they have to be. */
export function countRestoredSchedules(count: number): void {
  instruments.restoredSchedules.add(count);
}

/** A task has its outcome; `recovered` where it succeeded after a failed attempt. */
export function countTaskOutcome(task: { kind: Kind; outcome: TaskOutcome; recovered: boolean }): void {
  instruments.taskOutcomes.add(1, { kind: task.kind, outcome: task.outcome });
  if (task.recovered) instruments.taskRecoveries.add(1, { kind: task.kind });
}

/** An attempt has ended. `failure` is there where it failed: its code, and whether it ended the task. */
export function countAttempt(attempt: {
  kind: Kind;
  outcome: TaskOutcome;
  failure?: { code: string; class: 'transient' | 'hard' };
}): void {
  const { kind, outcome, failure } = attempt;
  instruments.taskAttempts.add(1, { kind, outcome, ...failure });
}

/** Something that is written of a task so that it goes on was not taken; it is tried again. `code` is what it failed by. */
export function countBookkeepingFailure(failure: { bookkeeping: string; code: string }): void {
  instruments.bookkeepingFailures.add(1, { ...failure });
}

/** A step was lost with its worker, and its attempt goes on. */
export function countLostStep(lost: { kind: Kind; step: string }): void {
  instruments.lostSteps.add(1, { ...lost });
}

/** One execution of a step has ended after `seconds`; interrupted is what was stopped without costing an attempt. */
export function observeStep(step: { kind: Kind; step: string; outcome: StepOutcome; seconds: number }): void {
  const { kind, outcome, seconds } = step;
  instruments.stepDuration.record(seconds, { kind, step: step.step, outcome });
}

/** A long step, or a try at an alert, has waited so many seconds for a slot of its kind of work. */
export function observeSlotWait(kind: 'compute' | 'deliver' | 'alerts', waitedSeconds: number): void {
  instruments.slotWait.record(waitedSeconds, { kind });
}

/** What became of the rows (profiles) of one batch to a destination with this slug; `retry` will be sent again. */
export function countDeliveryRows(destination: string, rows: Readonly<Record<RowOutcome, number>>): void {
  for (const outcome of ['delivered', 'rejected', 'skipped', 'retry'] as const) {
    if (rows[outcome] > 0) instruments.deliveryRows.add(rows[outcome], { destination, outcome });
  }
}

/**
 * One call to a destination with this slug has ended, for an action's requests of one batch or one event: with an answer, whatever
 * it was, or with none (failed), or because we broke off (aborted).
 */
export function observeRequest(request: {
  destination: string;
  outcome: 'accepted' | 'refused' | 'rate_limited' | 'failed' | 'aborted';
  seconds: number;
}): void {
  const { destination, outcome, seconds } = request;
  instruments.requestDuration.record(seconds, { destination, outcome });
}

/** The circuit of a destination with this slug has opened: it is left alone for a while. */
export function countCircuitOpening(destination: string): void {
  instruments.circuitOpenings.add(1, { destination });
}

/** So many alerts were decided: new ones, or ones that were held until now. */
export function countAlertDecisions(alerts: { kind: AlertKind; decision: AlertDecision; count?: number }): void {
  const { kind, decision, count = 1 } = alerts;
  if (count > 0) instruments.alertDecisions.add(count, { kind, decision });
}

/** One try at delivering an alert to a channel has ended. */
export function countAlertDelivery(outcome: 'delivered' | 'retry' | 'dead'): void {
  instruments.alertDeliveries.add(1, { outcome });
}

/** An event was loaded, in another way than it says; the code says in which. */
export function countEventWarnings(code: string): void {
  instruments.eventWarnings.add(1, { code });
}

/** An event could not be loaded, and was put aside; the code says what it fails for. */
export function countQuarantinedEvents(code: string): void {
  instruments.quarantinedEvents.add(1, { code });
}

function createInstruments(meter: Meter): Instruments {
  const counter = (name: string, description: string): Counter =>
    meter.createCounter(`trailmark_${name}`, { description });
  const seconds = (name: string, description: string, explicitBucketBoundaries: number[]): Histogram =>
    meter.createHistogram(`trailmark_${name}_seconds`, {
      description,
      unit: 's',
      advice: { explicitBucketBoundaries },
    });
  return {
    taskOutcomes: counter('task_outcomes', 'Tasks that have ended, by how'),
    taskRecoveries: counter('task_recoveries', 'Tasks that succeeded after at least one failed attempt'),
    taskAttempts: counter(
      'task_attempts',
      'Attempts that have ended, by how, and by the code and class of what failed',
    ),
    lostSteps: counter(
      'lost_steps',
      'Executions of steps that were lost with their worker without costing an attempt, by kind of task and step',
    ),
    bookkeepingFailures: counter(
      'bookkeeping_failures',
      'Times that what is written of a task, so that it goes on, was not taken, by what was to be written and the code',
    ),
    stepDuration: seconds('step_duration', 'How long executions of steps took', STEP_BUCKETS_SECONDS),
    slotWait: seconds(
      'slot_wait',
      'How long steps and alerts waited for a slot that their workspace may have',
      STEP_BUCKETS_SECONDS,
    ),
    deliveryRows: counter('delivery_rows', 'Rows sent to destinations, by what became of them'),
    requestDuration: seconds(
      'destination_request_duration',
      'How long calls to destinations took, by how they ended',
      REQUEST_BUCKETS_SECONDS,
    ),
    circuitOpenings: counter(
      'circuit_openings',
      'Times that a destination began to be left alone after failures in a row',
    ),
    alertDecisions: counter('alert_decisions', 'Alerts, by what was decided about them'),
    alertDeliveries: counter('alert_deliveries', 'Tries at delivering an alert to a channel, by how they ended'),
    restoredSchedules: counter(
      'schedules_restored',
      'Schedules in Temporal that were missing, paused or changed, and were put right',
    ),
    quarantinedEvents: counter('quarantined_events', 'Events that could not be loaded and were put aside, by why'),
    eventWarnings: counter('event_warnings', 'Events that were loaded in another way than they say, by the warning'),
  };
}
