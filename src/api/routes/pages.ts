import { createHash } from 'node:crypto';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import {
  findWorkspace,
  requireMember,
  requireTrailAccess,
  signIn,
  signOut,
  type Principal,
} from '../../access/index.ts';
import { listAlerts, readSettings } from '../../alerts/index.ts';
import { readAuditTrail } from '../../audit/index.ts';
import { findComputation, listWorkspaceComputations } from '../../compute/index.ts';
import { RequestError } from '../../errors.ts';
import { inTransaction } from '../../store/index.ts';
import { forceRun, latestTasks, readOverview, standingHardFailures } from '../../tasks/index.ts';
import {
  clearSessionCookie,
  forgetWorkspace,
  rememberWorkspace,
  requireOwnOrigin,
  sessionPrincipal,
  sessionTokenOf,
  setSessionCookie,
} from '../authenticate.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { openApiDocument, type OpenApiDocument } from '../openapi.ts';
import { computationPage } from '../pages/computation.ts';
import { homePage, type Trail } from '../pages/home.ts';
import { ASSETS, type Markup } from '../pages/layout.ts';
import { problemPage } from '../pages/problem.ts';
import { referencePage } from '../pages/reference.ts';
import { signInPage } from '../pages/sign-in.ts';
import { startWritten } from '../start-written.ts';

const TASKS_SHOWN = 25;
const COMPUTATIONS_SHOWN = 200;
const ALERTS_SHOWN = 20;
const EVENTS_SHOWN = 40;

const pageHeaders = (): MiddlewareHandler =>
  secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      formAction: ["'self'"],
      baseUri: ["'none'"],
      frameAncestors: ["'none'"],
    },
    referrerPolicy: 'same-origin',
    xFrameOptions: 'DENY',
  });

/** What anyone may load: the assets, the document and its page, and the way in and out. */
export function registerPublicPages(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const headers = pageHeaders();
  for (const asset of ASSETS) {
    app.get(asset.path, headers, (c) =>
      c.body(asset.content, 200, {
        'content-type': asset.type,
        'cache-control': 'public, max-age=31536000, immutable',
      }),
    );
  }
  // Made when it is first asked for: by then every route is registered, and none comes after.
  let made: OpenApiDocument | undefined;
  const document = (): OpenApiDocument => (made ??= openApiDocument(app, deps.publicUrl));
  app.get('/openapi.json', (c) => c.json(document()));
  app.get('/docs', headers, async (c) => await answerPage(c, referencePage(document())));
  app.get('/sign-in', headers, async (c) => await answerPage(c, signInPage({})));
  app.post('/sign-in', headers, async (c) => {
    requireOwnOrigin(c, deps.publicUrl);
    const form = await c.req.parseBody();
    const email = typeof form.email === 'string' ? form.email : '';
    const password = typeof form.password === 'string' ? form.password : '';
    try {
      const clientAddress = clientAddressOf(c);
      const session = await signIn(deps.pool, email, password, clientAddress === undefined ? {} : { clientAddress });
      setSessionCookie(c, deps.publicUrl, session.sessionToken, session.expiresAt);
      return c.redirect('/', 303);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      const status = error.kind === 'rate_limited' ? 429 : error.kind === 'unauthenticated' ? 401 : 400;
      return await answerPage(c, signInPage({ problem: error.message, email }), status);
    }
  });
  app.post('/sign-out', headers, async (c) => {
    requireOwnOrigin(c, deps.publicUrl);
    const sessionToken = sessionTokenOf(c);
    if (sessionToken !== undefined) await signOut(deps.pool, sessionToken);
    clearSessionCookie(c);
    return c.redirect('/sign-in', 303);
  });
}

/** The pages of whoever signed in. A program, which accepts JSON and not HTML, passes by the one at `/`. */
export function registerPages(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const headers = pageHeaders();
  app.get('/', headers, async (c, next) => {
    if (!wantsPage(c)) return await next();
    const workspace = c.req.query('workspace');
    if (workspace !== undefined) {
      rememberWorkspace(c, deps.publicUrl, workspace);
      return c.redirect('/', 303);
    }
    return await forReader(c, deps, async (principal, workspaceName) => {
      const { workspaceId } = principal;
      const computations = await listWorkspaceComputations(deps.pool, { workspaceId, limit: COMPUTATIONS_SHOWN });
      return homePage({
        principal,
        workspaceName,
        computations,
        failures: await standingHardFailures(deps.pool, {
          workspaceId,
          computationIds: computations.map((view) => view.id),
        }),
        tasks: await latestTasks(deps.pool, { workspaceId, limit: TASKS_SHOWN }),
        alerts: (await listAlerts(deps.pool, { workspaceId, count: ALERTS_SHOWN })).alerts,
        settings: await readSettings(deps.pool, workspaceId),
        trail: await readTrail(deps, principal),
      });
    });
  });
  app.get(
    '/computations/:id',
    headers,
    async (c) =>
      await forReader(c, deps, async (principal, workspaceName) => {
        const { workspaceId } = principal;
        const computation = await findComputation(deps.pool, { workspaceId, id: c.req.param('id') });
        const overview = await readOverview(deps.pool, { workspaceId, computationId: computation.id, limit: 10 });
        return computationPage({ principal, workspaceName, computation, overview });
      }),
  );
  app.post('/computations/:id/runs', headers, async (c) => {
    requireOwnOrigin(c, deps.publicUrl);
    const id = c.req.param('id');
    return await forReader(c, deps, async (principal) => {
      requireMember(principal);
      const computation = await findComputation(deps.pool, { workspaceId: principal.workspaceId, id });
      const address = {
        workspaceId: principal.workspaceId,
        spaceId: computation.space_id,
        kind: computation.kind,
        id,
      };
      try {
        const by = { actor: principal.actor, reason: 'run_now' as const };
        await startWritten(deps, await inTransaction(deps.pool, async (tx) => await forceRun(tx, address, by)));
      } catch (error) {
        // A run that is open already is what they asked for: the page shows it.
        if (!(error instanceof RequestError && error.code === 'run_open')) throw error;
      }
      return c.redirect(`/computations/${id}`, 303);
    });
  });
}

async function forReader(
  c: Context<ApiEnv>,
  deps: ApiDeps,
  work: (principal: Principal, workspaceName: string) => Promise<Markup | Response>,
): Promise<Response> {
  try {
    const principal = await sessionPrincipal(deps, c);
    if (principal === null) return c.redirect('/sign-in', 303);
    c.set('principal', principal);
    const workspace = await findWorkspace(deps.pool, principal.workspaceId);
    const made = await work(principal, workspace?.name ?? '');
    return made instanceof Response ? made : await answerPage(c, made);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const status = error.kind === 'not_found' ? 404 : error.kind === 'conflict' ? 409 : 403;
    // Or whoever was taken out of the workspace that they looked at last would see this page for ever.
    if (error.code === 'not_a_member') forgetWorkspace(c);
    const page = problemPage({ message: error.message, asksWorkspace: error.code === 'workspace_required' });
    return await answerPage(c, page, status);
  }
}

async function readTrail(deps: ApiDeps, principal: Principal): Promise<Trail> {
  try {
    requireTrailAccess(principal);
  } catch (error) {
    if (error instanceof RequestError) return { refusal: error.message };
    throw error;
  }
  return await readAuditTrail(deps.pool, principal.actor, { workspaceId: principal.workspaceId, count: EVENTS_SHOWN });
}

// A browser asks for HTML; Segment's SDK for JSON. Whoever says nothing gets the page.
function wantsPage(c: Context): boolean {
  const accept = c.req.header('accept') ?? '*/*';
  return /text\/html/.test(accept) || !/json/.test(accept);
}

// Where the server runs on Node there is a socket; in a test through app.request there is none.
function clientAddressOf(c: Context): string | undefined {
  const env = c.env as { incoming?: { socket?: { remoteAddress?: string } } } | undefined;
  return env?.incoming?.socket?.remoteAddress;
}

/** Answers a page, or 304 where the reader has it as it is: the live script asks every two seconds. */
async function answerPage(
  c: Context<ApiEnv>,
  page: Markup,
  status: 200 | 400 | 401 | 403 | 404 | 409 | 429 = 200,
): Promise<Response> {
  const text = (await page).toString();
  const etag = `"${createHash('sha256').update(text).digest('base64url')}"`;
  c.header('cache-control', 'private, no-cache');
  c.header('etag', etag);
  if (status === 200 && c.req.header('if-none-match') === etag) return c.body(null, 304);
  return c.html(text, status);
}
