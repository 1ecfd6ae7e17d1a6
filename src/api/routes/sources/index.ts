import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { registerCreateSource } from './create-source.ts';
import { registerCreateWriteKey } from './create-write-key.ts';
import { registerDeleteSource } from './delete-source.ts';
import { registerGetSource } from './get-source.ts';
import { registerListSources } from './list-sources.ts';
import { registerListSourceWarnings } from './list-warnings.ts';
import { registerQuarantine } from './quarantine.ts';
import { registerRemoveWriteKey } from './remove-write-key.ts';
import { registerUpdateSource } from './update-source.ts';

export function registerSources(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  registerListSources(app, deps);
  registerCreateSource(app, deps);
  registerGetSource(app, deps);
  registerListSourceWarnings(app, deps);
  registerQuarantine(app, deps);
  registerUpdateSource(app, deps);
  registerDeleteSource(app, deps);
  registerCreateWriteKey(app, deps);
  registerRemoveWriteKey(app, deps);
}
