export { advanceBaseline, freezeChanges, readChanges, type Change } from './changes.ts';
export { computationStatus, computationStatusLabel, COMPUTATION_STATUSES } from './computations-status.ts';
export {
  createComputation,
  deleteComputation,
  KEY_PATTERN,
  updateComputation,
  type CreateComputationInput,
} from './computations-write.ts';
export {
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
export { takeDueComputations } from './due.ts';
export { pinDefinition, type PinnedDefinition } from './pin.ts';
export { computeVersion, diffVersions, nextVersion, type VersionDiff } from './versions.ts';
