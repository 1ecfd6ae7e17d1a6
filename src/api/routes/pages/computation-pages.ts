import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { findComputation, type ComputationView } from '../../../computations/index.ts';
import { RequestError } from '../../../errors.ts';
import { listTasks, readOverview } from '../../../tasks/index.ts';
import { answerPage, forReader, pageHeaders, type Reader } from '../../answers/answer-page.ts';
import { requireOwnOrigin } from '../../middleware/authenticate.ts';
import { callApi } from '../../call-api.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { computationPage } from '../../pages/computation.ts';
import type { Markup } from '../../pages/parts/layout.ts';
import { SURFACES } from '../computations/schema.ts';

// What is under way and what came before it: the table has the rest.
const LATEST_SHOWN = 3;
const HISTORY_SHOWN = 25;

interface Call {
  method: 'POST' | 'PATCH';
  path: string;
  body: Record<string, unknown>;
}

/** What the buttons of the page ask the API for, by the last part of their address. */
const CALLS: Record<string, (computation: string) => Call> = {
  runs: (computation) => ({ method: 'POST', path: `${computation}/runs`, body: {} }),
  pause: (computation) => ({ method: 'POST', path: `${computation}/pause`, body: {} }),
  resume: (computation) => ({ method: 'POST', path: `${computation}/resume`, body: {} }),
  resync: (computation) => ({ method: 'POST', path: `${computation}/resync`, body: {} }),
  enable: (computation) => ({ method: 'PATCH', path: computation, body: { enabled: true } }),
};

/** The page of one computation, and what its buttons do. */
export function registerComputationPages(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const headers = pageHeaders();
  app.get(
    '/computations/:id',
    headers,
    async (c) =>
      await forReader(c, deps, async (reader) => {
        const computation = await find(deps, reader, c.req.param('id'));
        return await readPage(deps, reader, computation, { history: c.req.query('history') });
      }),
  );
  app.post('/computations/:id/:action', headers, async (c) => {
    const callOf = Object.hasOwn(CALLS, c.req.param('action')) ? CALLS[c.req.param('action')] : undefined;
    return await act(c, callOf);
  });
  app.post('/computations/:id/destinations/:destinationId/resume', headers, async (c) => {
    const destinationId = encodeURIComponent(c.req.param('destinationId'));
    return await act(c, (computation) => ({
      method: 'POST',
      path: `${computation}/destinations/${destinationId}/resume`,
      body: {},
    }));
  });

  async function act(c: Context<ApiEnv>, callOf: ((computation: string) => Call) | undefined): Promise<Response> {
    requireOwnOrigin(c, deps.publicUrl);
    return await forReader(c, deps, async (reader) => {
      const computation = await find(deps, reader, c.req.param('id') ?? '');
      if (callOf === undefined) throw new RequestError('not_found', 'action_unknown', 'There is no such button.');
      const { space_id: spaceId, kind, id } = computation;
      const refusal = await callApi(app, c, callOf(`/spaces/${spaceId}/${SURFACES[kind].path}/${id}`));
      // A run that is open already is what they asked for: the page shows it.
      if (refusal === null || refusal.code === 'run_open') return c.redirect(`/computations/${id}`, 303);
      const page = await readPage(deps, reader, computation, { problem: refusal.message });
      return await answerPage(c, page, refusal.status);
    });
  }
}

async function find(deps: ApiDeps, { principal }: Reader, id: string): Promise<ComputationView> {
  return await findComputation(deps.pool, { workspaceId: principal.workspaceId, id });
}

async function readPage(
  deps: ApiDeps,
  reader: Reader,
  computation: ComputationView,
  page: { history?: string | undefined; problem?: string },
): Promise<Markup> {
  const query = { workspaceId: reader.principal.workspaceId, computationId: computation.id };
  const { tasks, pagination } = await listTasks(deps.pool, { ...query, count: HISTORY_SHOWN, cursor: page.history });
  return computationPage({
    ...reader,
    computation,
    overview: await readOverview(deps.pool, { ...query, limit: LATEST_SHOWN }),
    history: { tasks, older: pagination.next, newer: pagination.previous, at: page.history },
    problem: page.problem,
  });
}
