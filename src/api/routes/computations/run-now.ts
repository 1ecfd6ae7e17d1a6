import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { requireMember, type Principal } from '../../../access/index.ts';
import { recordAuditEvent } from '../../../audit/index.ts';
import { getComputation, KIND_NAMES, type ComputationAddress, type ComputationKind } from '../../../compute/index.ts';
import { RequestError } from '../../../errors.ts';
import { inTransaction } from '../../../store/index.ts';
import { createTask, openRunOf, readTask } from '../../../tasks/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { answers, dataOf, SIGNED_IN } from '../../schemas.ts';
import { startWritten } from '../../start-written.ts';
import { taskSchema, toTaskResponse } from '../tasks-schema.ts';
import { computationParamsSchema, SURFACES } from './schema.ts';

export function registerRunNow(kind: ComputationKind, app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const surface = SURFACES[kind];
  const route = createRoute({
    method: 'post',
    path: `/spaces/{spaceId}/${surface.path}/{id}/runs`,
    operationId: `run${surface.Name}Now`,
    tags: [surface.tag],
    summary: `Run ${surface.words} now`,
    description: 'Its schedule stays as it is. Refused while a run of it is open, and while it is disabled.',
    security: SIGNED_IN,
    request: { params: computationParamsSchema },
    responses: answers({ 201: dataOf('The run.', z.object({ task: taskSchema })) }, 'not_found', 'conflict'),
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    requireMember(principal);
    const { workspaceId } = principal;
    const taskId = await forceRun(deps, principal, { workspaceId, kind, ...c.req.valid('param') });
    const task = await readTask(deps.pool, { workspaceId, taskId });
    if (task === null) throw new Error(`task ${taskId} is not there after its commit`);
    return c.json({ data: { task: toTaskResponse(task, deps) } }, 201);
  });
}

/** Writes a run that someone asked for, and starts it. Throws RequestError `run_open`, `computation_disabled` or `not_found`. */
export async function forceRun(
  deps: Pick<ApiDeps, 'pool' | 'startTask' | 'logger'>,
  principal: Principal,
  address: ComputationAddress,
): Promise<string> {
  const { workspaceId } = address;
  const taskId = await inTransaction(deps.pool, async (tx) => {
    const computation = await getComputation(tx, address);
    if (!computation.enabled) {
      throw new RequestError('conflict', 'computation_disabled', `${computation.name} is disabled. Enable it first.`, {
        field: 'id',
      });
    }
    const created = await createTask(tx, {
      workspaceId,
      spaceId: address.spaceId,
      computationId: computation.id,
      kind: 'run',
      reason: 'run_now',
    });
    if (created === null) {
      const open = await openRunOf(tx, computation.id);
      throw new RequestError(
        'conflict',
        'run_open',
        `A run of ${computation.name} is open already${open === null ? '' : `: ${open}`}. Wait for its outcome.`,
        { field: 'id', data: { taskId: open } },
      );
    }
    await recordAuditEvent(tx, {
      workspaceId,
      spaceId: address.spaceId,
      type: `${KIND_NAMES[address.kind]} Run Forced`,
      actor: principal.actor,
      resource: { type: address.kind, id: computation.id, name: computation.name },
      taskId: created,
    });
    return created;
  });
  await startWritten(deps, taskId);
  return taskId;
}
