export { READY, startChild, waitUntilReady, type Child } from './child.ts';
export { startClickHouse, type RunningClickHouse } from './clickhouse.ts';
export {
  findHolder,
  freeMegabytes,
  openDataFolder,
  readEngineNotes,
  readSecret,
  type DataFolder,
  type EngineNotes,
} from './data-folder.ts';
export { planEngines } from './engines.ts';
export { StartError } from './errors.ts';
export { freePort, isPortFree } from './ports.ts';
export { startPostgres } from './postgres/postgres.ts';
export { endProcess, listProcesses } from './processes.ts';
export { programCommand, sourceLoader } from './program.ts';
export { serveClickHouse } from './serve-clickhouse.ts';
export { supervise, type Supervised } from './supervise.ts';
export { findInstalledTemporal, findTemporal, findTemporalTestServer } from './temporal/temporal-binary.ts';
export { startTemporal } from './temporal/temporal.ts';
