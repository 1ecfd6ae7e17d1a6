export {
  advanceBaseline,
  BITMAPS_AFTER_ROWS,
  dropOldBitmaps,
  forgetUnsettled,
  keepBaselineBitmaps,
  readBaselineState,
  type ChangeRange,
  type Unsettled,
} from './baselines.ts';
export { readChanges, type Change } from './changes.ts';
export {
  computationStatus,
  computationStatusLabel,
  COMPUTATION_STATUS_LABELS,
  COMPUTATION_STATUSES,
} from './computations-status.ts';
export {
  computationKey,
  createComputation,
  deleteComputation,
  KEY_PATTERN,
  MAX_GUARD_MEMBERS,
  updateComputation,
  type CreateComputationInput,
  type UpdateComputationInput,
} from './computations-write.ts';
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
export { dropOldVersions } from './drop-versions.ts';
export { DRY_RUN_SECONDS, dryRun, type DryRun } from './dry-run.ts';
export { takeDueComputations, type DueComputation, type TakenComputations } from './due.ts';
export { freezeChanges } from './freeze-changes.ts';
export { fillReferences } from './references.ts';
export { MAX_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS } from './schedule.ts';
export { scheduleLag } from './schedule-lag.ts';
export { hasVersions, listLeavers } from './leavers.ts';
export { pinDefinition, resolverOf, type PinnedDefinition } from './pin.ts';
export { keepRedrivenProfiles } from './redriven-profiles.ts';
export { requireVersions } from './require-versions.ts';
export { computeVersion, diffVersions, nextVersion, type QueryContext, type VersionDiff } from './versions.ts';
