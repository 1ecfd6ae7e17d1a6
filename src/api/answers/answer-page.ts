import { createHash } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { findWorkspace, type Principal } from '../../access/index.ts';
import { RequestError } from '../../errors.ts';
import { forgetWorkspace, sessionPrincipal } from '../middleware/authenticate.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { sayWhenToRetry, statusOf } from './errors.ts';
import type { Markup } from '../pages/parts/layout.ts';
import { problemPage } from '../pages/problem.ts';

/** What every page is sent with: nothing on it comes from, or goes to, another server. */
export const pageHeaders = (): MiddlewareHandler =>
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

/** Who looks at a page, in which workspace. */
export interface Reader {
  principal: Principal;
  workspaceName: string;
}

/** Answers a page to whoever signed in, the way to sign in to anybody else, and a refusal as a page that says why. */
export async function forReader(
  c: Context<ApiEnv>,
  deps: ApiDeps,
  work: (reader: Reader) => Promise<Markup | Response>,
): Promise<Response> {
  try {
    const principal = await sessionPrincipal(deps, c);
    if (principal === null) return c.redirect('/sign-in', 303);
    c.set('principal', principal);
    const workspace = await findWorkspace(deps.pool, principal.workspaceId);
    const made = await work({ principal, workspaceName: workspace?.name ?? '' });
    return made instanceof Response ? made : await answerPage(c, made);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    // Or whoever was taken out of the workspace that they looked at last would see this page for ever.
    if (error.code === 'not_a_member') forgetWorkspace(c);
    sayWhenToRetry(error, c);
    const page = problemPage({ message: error.message, asksWorkspace: error.code === 'workspace_required' });
    return await answerPage(c, page, statusOf(error.kind));
  }
}

/**
 * Answers errors by `answer`, and as a page that says why and leads on where a page was asked for: JSON in a browser is a dead end.
 */
export function orProblemPage(
  answer: (error: Error, c: Context<ApiEnv>) => Response,
): (error: Error, c: Context<ApiEnv>) => Promise<Response> {
  const secure = pageHeaders();
  return async (error, c) => {
    const response = answer(error, c);
    const asksForPage = /text\/html/.test(c.req.header('accept') ?? '') && c.req.header('authorization') === undefined;
    if (!asksForPage) return response;
    const { errors } = (await response.json()) as { errors: { message: string }[] };
    const page = problemPage({ message: errors[0]?.message ?? '', asksWorkspace: false });
    await secure(c, async () => {
      c.res = await answerPage(c, page, response.status as ContentfulStatusCode);
    });
    return c.res;
  };
}

/** Answers a page, or 304 where the reader has it as it is: the live script asks every two seconds. */
export async function answerPage(
  c: Context<ApiEnv>,
  page: Markup,
  status: ContentfulStatusCode = 200,
): Promise<Response> {
  const text = (await page).toString();
  const etag = `"${createHash('sha256').update(text).digest('base64url')}"`;
  c.header('cache-control', 'private, no-cache');
  c.header('etag', etag);
  if (status === 200 && c.req.header('if-none-match') === etag) return c.body(null, 304);
  return c.html(text, status);
}
