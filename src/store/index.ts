export { classifyStoreError } from './classify-error.ts';
export {
  createClickHouse,
  runStatement,
  selectColumns,
  selectRows,
  type ClickHouseClient,
  type QueryBounds,
} from './clickhouse.ts';
export { newId } from './ids.ts';
export { outlastPermits, Permit, PERMIT_MS } from './permit.ts';
export { migrateClickHouse, migratePostgres } from './migrate.ts';
export {
  allowStatements,
  createPool,
  inTransaction,
  onCommit,
  UNLIMITED,
  type PoolLimits,
  type PostgresPool,
  type Queryable,
  type Transaction,
} from './postgres.ts';
export { isStorable, jsonText } from './storable.ts';
