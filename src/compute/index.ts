export {
  computationStatus,
  computationStatusLabel,
  COMPUTATION_STATUSES,
  type ComputationStatus,
} from './computations-status.ts';
export {
  createComputation,
  deleteComputation,
  KEY_PATTERN,
  updateComputation,
  type CreateComputationInput,
} from './computations-write.ts';
export {
  getComputation,
  KIND_NAMES,
  listComputations,
  listWorkspaceComputations,
  type ComputationKind,
  type ComputationView,
} from './computations.ts';
