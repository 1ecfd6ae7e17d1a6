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
  definition_version: number;
  live_version: number | null;
  /** The definition that the live version was computed by. */
  live_definition_version: number | null;
  /** Whether a run is between its beginning and its outcome, waits between attempts included. */
  run_in_progress: boolean;
  /** Whether the latest run that has an outcome ended in a hard failure. */
  last_run_failed: boolean;
  /** Connections (switched on, to a destination that is switched on) that have no finished sync of the live version. */
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

/** The status as people read it: what waits for its first run to begin is Preparing. */
export function computationStatusLabel(inputs: StatusInputs): ComputationStatus | 'Preparing' {
  const status = computationStatus(inputs);
  return status === 'Backfilling' && !inputs.run_in_progress ? 'Preparing' : status;
}

function isComputed(inputs: StatusInputs): boolean {
  return inputs.live_version !== null && inputs.live_definition_version === inputs.definition_version;
}
