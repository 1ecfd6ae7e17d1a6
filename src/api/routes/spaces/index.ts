import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { registerGetSpace } from './get-space.ts';
import { registerListSpaces } from './list-spaces.ts';

export function registerSpaces(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  registerListSpaces(app, deps);
  registerGetSpace(app, deps);
}
