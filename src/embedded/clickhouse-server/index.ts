export { serveClickHouse, type ClickHouseServer, type ClickHouseServerOptions } from './server.ts';
