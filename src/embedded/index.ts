export { startClickHouse, type RunningClickHouse } from './clickhouse.ts';
export { serveClickHouse } from './serve-clickhouse.ts';
export { StartError } from './errors.ts';
export { startPostgres } from './postgres.ts';
export { findTemporal } from './temporal-binary.ts';
export { startTemporal } from './temporal.ts';
