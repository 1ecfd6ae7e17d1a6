import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { RequestError } from '../../../errors.ts';
import { readLeaving, readRejectedRows, readTask, readTaskActions, type TaskView } from '../../../tasks/index.ts';
import { answerPage, forReader, pageHeaders, type Reader } from '../../answers/answer-page.ts';
import { requireOwnOrigin } from '../../middleware/authenticate.ts';
import { callApi } from '../../call-api.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import type { Markup } from '../../pages/parts/layout.ts';
import { taskPage } from '../../pages/task.ts';
import { readForm } from '../../read-form.ts';
import { temporalUrlOf } from '../../temporal-url.ts';
import { taskNotFound } from '../tasks/get-task.ts';

const REJECTED_SHOWN = 20;
const LEAVING_SHOWN = 20;

/** What the buttons of the page ask the API for, with the fields of its body that a person fills in. */
const FIELDS: Record<string, readonly string[]> = {
  cancel: ['reason'],
  retry: ['fromStep'],
  redrive: [],
  approve: [],
  discard: [],
};

/** The page of one task, and what its buttons do. The address is that of the API: who asks for JSON, or has a token, gets that. */
export function registerTaskPages(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const headers = pageHeaders();
  app.get('/tasks/:id', headers, async (c, next) => {
    if (!wantsPage(c)) return await next();
    return await forReader(c, deps, async (reader) => await readPage(deps, reader, await find(c, reader)));
  });
  app.post('/tasks/:id/actions/:action', headers, async (c) => {
    requireOwnOrigin(c, deps.publicUrl);
    const action = c.req.param('action');
    const fields = Object.hasOwn(FIELDS, action) ? FIELDS[action] : undefined;
    return await forReader(c, deps, async (reader) => {
      const task = await find(c, reader);
      if (fields === undefined) throw new RequestError('not_found', 'action_unknown', 'There is no such button.');
      const form = await readForm(c);
      const body = Object.fromEntries(
        fields.flatMap((name) => {
          const value = form.get(name);
          return value !== undefined && value.trim() !== '' ? [[name, value]] : [];
        }),
      );
      const refusal = await callApi(app, c, { method: 'POST', path: `/tasks/${task.id}/${action}`, body });
      if (refusal !== null)
        return await answerPage(c, await readPage(deps, reader, task, refusal.message), refusal.status);
      // Another task has taken over: the computation's page shows both.
      const made = action === 'retry' || action === 'redrive';
      return c.redirect(made ? `/computations/${task.computation.id}` : `/tasks/${task.id}`, 303);
    });
  });

  async function find(c: Context<ApiEnv>, { principal }: Reader): Promise<TaskView> {
    const taskId = c.req.param('id') ?? '';
    const task = await readTask(deps.pool, { workspaceId: principal.workspaceId, taskId });
    if (task === null) throw taskNotFound(taskId);
    return task;
  }
}

// A program says nothing, or JSON, or that it takes anything; and a page has no use for a token.
function wantsPage(c: Context): boolean {
  return c.req.header('authorization') === undefined && /text\/html/.test(c.req.header('accept') ?? '');
}

async function readPage(deps: ApiDeps, reader: Reader, task: TaskView, problem?: string): Promise<Markup> {
  const query = { workspaceId: reader.principal.workspaceId, taskId: task.id };
  return taskPage({
    ...reader,
    task,
    actions: reader.principal.role === 'support' ? null : await readTaskActions(deps.pool, task),
    leaving: task.status === 'awaiting_approval' ? await readFirstLeaving(deps, query) : null,
    rejected: task.rejectedRows === 0 ? [] : await readRejectedRows(deps.pool, { ...query, limit: REJECTED_SHOWN }),
    temporalUrl: temporalUrlOf(task.id, deps),
    problem,
  });
}

/** The first who would leave; null where that is not known any more. The answers to the guard are there all the same. */
async function readFirstLeaving(
  deps: ApiDeps,
  query: { workspaceId: string; taskId: string },
): Promise<{ userId: string; anonymousId: string; profile: number }[] | null> {
  try {
    return (await readLeaving(deps, { ...query, count: LEAVING_SHOWN })).leaving;
  } catch (error) {
    if (error instanceof RequestError) return null;
    throw error;
  }
}
