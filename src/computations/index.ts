export {
  computationStatus,
  computationStatusLabel,
  COMPUTATION_STATUS_LABELS,
  COMPUTATION_STATUSES,
} from './status.ts';
export {
  computationKey,
  createComputation,
  deleteComputation,
  KEY_PATTERN,
  MAX_GUARD_MEMBERS,
  updateComputation,
  type CreateComputationInput,
  type UpdateComputationInput,
} from './write-computation.ts';
export {
  computationNotFound,
  findComputation,
  getComputation,
  KIND_NAMES,
  listComputations,
  listWorkspaceComputations,
  type ComputationAddress,
  type ComputationKind,
  type ComputationView,
} from './computations.ts';
export { DRY_RUN_SECONDS, dryRun, type DryRun } from './dry-run.ts';
export { takeDueComputations, takeEarlyRun, type DueComputation, type TakenComputations } from './due.ts';
export { fillReferences } from './references.ts';
export { MAX_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS } from './schedule.ts';
export { scheduleLag } from './schedule-lag.ts';
export { pinDefinition, resolverOf, type PinnedDefinition } from './pin.ts';
export {
  clearRunFailures,
  commitVersion,
  countRunFailure,
  disableComputation,
  notePaused,
  noteResumed,
} from './state.ts';
