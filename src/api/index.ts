export { createApp } from './app.ts';
export type { ApiDeps, RateLimit } from './deps.ts';
