import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { registerBlockedIds } from './blocked-ids.ts';
import { registerConnectSource } from './connect-source.ts';
import { registerDisconnectSource } from './disconnect-source.ts';
import { registerGetSpace } from './get-space.ts';
import { registerListSpaceSources } from './list-space-sources.ts';
import { registerListSpaces } from './list-spaces.ts';
import { registerUpdateSpace } from './update-space.ts';

export function registerSpaces(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  registerListSpaces(app, deps);
  registerGetSpace(app, deps);
  registerUpdateSpace(app, deps);
  registerBlockedIds(app, deps);
  registerListSpaceSources(app, deps);
  registerConnectSource(app, deps);
  registerDisconnectSource(app, deps);
}
