/** The statuses of Segment's audiences and computed traits, as its Public API names them. Derived, never stored. */
export const COMPUTATION_STATUSES = [
  'Disabled',
  'Failed',
  'Backfilling',
  'Computing',
  'Awaiting Destinations',
  'Live',
] as const;

export type ComputationStatus = (typeof COMPUTATION_STATUSES)[number];

/** What a status is derived from; selected together with the computation's row. */
export interface StatusInputs {
  enabled: boolean;
  /** Since when it is paused; null where it is not. */
  paused_at: Date | null;
  definition_version: number;
  live_version: number | null;
  /** The definition that the live version was computed by. */
  live_definition_version: number | null;
  /** Whether a run is between its beginning and its outcome, waits between attempts included. */
  run_in_progress: boolean;
  /** Whether a run waits for people: it would remove more members than it may without asking. */
  run_awaits_approval: boolean;
  /** Whether the latest run that has an outcome ended in a hard failure. */
  last_run_failed: boolean;
  /** Connections (switched on, not suspended, to a destination that is switched on) that have no finished sync of the live version. */
  destinations_awaited: number;
}

/**
 * The status of a computation. The first that applies:
 * Disabled, Failed (the latest run with an outcome hard-failed), Backfilling (nothing was computed by this definition yet),
 * Computing (live, and a run is in progress), Awaiting Destinations (live, and a destination has not had the live version yet), Live.
 */
export function computationStatus(inputs: StatusInputs): ComputationStatus {
  if (!inputs.enabled) return 'Disabled';
  if (inputs.last_run_failed) return 'Failed';
  if (!isComputed(inputs)) return 'Backfilling';
  if (inputs.run_in_progress) return 'Computing';
  if (inputs.destinations_awaited > 0) return 'Awaiting Destinations';
  return 'Live';
}

/** What people read where Segment has no status of its own for it. */
export const COMPUTATION_STATUS_LABELS = [...COMPUTATION_STATUSES, 'Preparing', 'Paused', 'Awaiting Approval'] as const;

/**
 * The status as people read it. What is held back comes first, as long as it is enabled: Paused, then Awaiting Approval (a run
 * waits for people); and what waits for its first run to begin is Preparing.
 */
export function computationStatusLabel(inputs: StatusInputs): (typeof COMPUTATION_STATUS_LABELS)[number] {
  const status = computationStatus(inputs);
  if (status === 'Disabled') return status;
  if (inputs.paused_at !== null) return 'Paused';
  if (inputs.run_awaits_approval) return 'Awaiting Approval';
  return status === 'Backfilling' && !inputs.run_in_progress ? 'Preparing' : status;
}

function isComputed(inputs: StatusInputs): boolean {
  return inputs.live_version !== null && inputs.live_definition_version === inputs.definition_version;
}
