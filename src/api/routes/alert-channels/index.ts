import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { registerCreateChannel } from './create-channel.ts';
import { registerDeleteChannel } from './delete-channel.ts';
import { registerListChannels } from './list-channels.ts';
import { registerTestChannel } from './test-channel.ts';
import { registerUpdateChannel } from './update-channel.ts';

export function registerAlertChannels(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  registerListChannels(app, deps);
  registerCreateChannel(app, deps);
  registerUpdateChannel(app, deps);
  registerDeleteChannel(app, deps);
  registerTestChannel(app, deps);
}
