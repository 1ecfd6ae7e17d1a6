import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context, Handler } from 'hono';
import {
  knownDevice,
  rememberDevice,
  requireTrailAccess,
  signIn,
  signOut,
  type Principal,
} from '../../../access/index.ts';
import { listAlerts, readSettings } from '../../../alerts/index.ts';
import { readAuditTrail } from '../../../audit/index.ts';
import { listWorkspaceComputations } from '../../../computations/index.ts';
import { RequestError } from '../../../errors.ts';
import { latestTasks, listTasks, standingHardFailures } from '../../../tasks/index.ts';
import { answerPage, forReader, pageHeaders } from '../../answers/answer-page.ts';
import {
  clearSessionCookie,
  deviceSecretOf,
  rememberWorkspace,
  requireOwnOrigin,
  sessionTokenOf,
  setDeviceCookie,
  setSessionCookie,
} from '../../middleware/authenticate.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { sayWhenToRetry, statusOf } from '../../answers/errors.ts';
import { fixedAnswer } from '../../answers/fixed-answer.ts';
import type { OpenApiDocument } from '../../openapi.ts';
import { homePage, type Trail } from '../../pages/home.ts';
import { ASSETS, type Markup } from '../../pages/parts/layout.ts';
import { referencePage } from '../../pages/reference.ts';
import { signInPage } from '../../pages/sign-in.ts';
import { readForm } from '../../read-form.ts';
import { registerComputationPages } from './computation-pages.ts';
import { registerTaskPages } from './task-pages.ts';

const TASKS_SHOWN = 25;
const COMPUTATIONS_SHOWN = 200;
const ALERTS_SHOWN = 20;
const EVENTS_SHOWN = 40;

/** What anyone may load: the assets, the document and its page, and the way in and out. */
export function registerPublicPages(app: OpenAPIHono<ApiEnv>, deps: ApiDeps, document: () => OpenApiDocument): void {
  const headers = pageHeaders();
  for (const asset of ASSETS) {
    const { path, content, type: contentType } = asset;
    const cacheControl = 'public, max-age=31536000, immutable';
    app.get(path, headers, fixedAnswer({ make: () => content, contentType, cacheControl }));
  }
  const json = { contentType: 'application/json', cacheControl: 'no-cache' };
  app.get('/openapi.json', fixedAnswer({ make: () => JSON.stringify(document()), ...json }));
  const fixedPage = (page: () => Markup): Handler =>
    fixedAnswer({
      make: async () => (await page()).toString(),
      contentType: 'text/html; charset=UTF-8',
      cacheControl: 'no-cache',
    });
  app.get(
    '/docs',
    headers,
    fixedPage(() => referencePage(document())),
  );
  app.get(
    '/sign-in',
    headers,
    fixedPage(() => signInPage({})),
  );
  app.post('/sign-in', headers, async (c) => {
    requireOwnOrigin(c, deps.publicUrl);
    let email = '';
    try {
      const form = await readForm(c);
      email = form.get('email') ?? '';
      const password = form.get('password') ?? '';
      const session = await signIn(deps.pool, email, password, {
        clientAddress: c.get('clientAddress'),
        deviceId: knownDevice(deps.secretBox, deviceSecretOf(c), email),
      });
      setSessionCookie(c, deps.publicUrl, session.sessionToken, session.expiresAt);
      setDeviceCookie(c, deps.publicUrl, rememberDevice(deps.secretBox, email));
      return c.redirect('/', 303);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      sayWhenToRetry(error, c);
      return await answerPage(c, signInPage({ problem: error.message, email }), statusOf(error.kind));
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
    return await forReader(c, deps, async ({ principal, workspaceName }) => {
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
        awaiting: (await listTasks(deps.pool, { workspaceId, status: 'awaiting_approval', count: TASKS_SHOWN })).tasks,
        tasks: await latestTasks(deps.pool, { workspaceId, limit: TASKS_SHOWN }),
        alerts: (await listAlerts(deps.pool, { workspaceId, count: ALERTS_SHOWN })).alerts,
        settings: await readSettings(deps.pool, workspaceId),
        trail: await readTrail(deps, principal),
      });
    });
  });
  registerComputationPages(app, deps);
  registerTaskPages(app, deps);
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
