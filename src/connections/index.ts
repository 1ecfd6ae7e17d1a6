export {
  clearConnectionFailures,
  clearSuspension,
  clearSuspensionsOf,
  countConnectionFailure,
  countConnections,
  endConnectionsTo,
  keepExternalAudienceId,
  keepResyncWish,
  noteSynced,
  suspendConnection,
  wishResync,
  withdrawResyncWish,
} from './state.ts';
export { connectComputation, disconnectComputation, listConnections, updateConnection } from './connections.ts';
