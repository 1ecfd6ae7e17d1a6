import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { registerGetTask } from './get-task.ts';
import { registerExportRejectedRows } from './rejected-rows/export-rejected-rows.ts';
import { registerListLeaving } from './list-leaving.ts';
import { registerListRejectedRows } from './rejected-rows/list-rejected-rows.ts';
import { registerListTasks } from './list-tasks.ts';

/** What people see of tasks. */
export function registerTaskHistory(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  registerListTasks(app, deps);
  registerGetTask(app, deps);
  registerListRejectedRows(app, deps);
  registerExportRejectedRows(app, deps);
  registerListLeaving(app, deps);
}
