export { connectComputation, disconnectComputation, listConnections, updateConnection } from './connections.ts';
