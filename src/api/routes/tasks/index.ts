import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { registerApproveRun } from './approve.ts';
import { registerCancelTask } from './cancel.ts';
import { registerDiscardRun } from './discard.ts';
import { registerRedrive } from './rejected-rows/redrive.ts';
import { registerRetryTask } from './retry.ts';

/** What people do to a task. */
export function registerTaskControls(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  registerCancelTask(app, deps);
  registerRetryTask(app, deps);
  registerRedrive(app, deps);
  registerApproveRun(app, deps);
  registerDiscardRun(app, deps);
}
