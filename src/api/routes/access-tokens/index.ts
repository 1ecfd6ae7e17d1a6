import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { registerCreateAccessToken } from './create-access-token.ts';
import { registerListAccessTokens } from './list-access-tokens.ts';
import { registerRevokeAccessToken } from './revoke-access-token.ts';

export function registerAccessTokens(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  registerListAccessTokens(app, deps);
  registerCreateAccessToken(app, deps);
  registerRevokeAccessToken(app, deps);
}
