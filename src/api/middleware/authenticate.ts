import type { Context, MiddlewareHandler } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import {
  authenticateSession,
  authenticateToken,
  KNOWN_DEVICE_DAYS,
  SESSION_PREFIX,
  TOKEN_PREFIX,
  type Principal,
} from '../../access/index.ts';
import { RequestError } from '../../errors.ts';
import { looksLikeToken } from '../../security/index.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';

const SESSION_COOKIE = 'trailmark_session';
// Which workspace someone with several, or support, looks at: an id or slug, and no secret.
const WORKSPACE_COOKIE = 'trailmark_workspace';
// Says that whoever has it has signed in from here before: guessing by others does not keep them out. It lets nobody in.
const DEVICE_COOKIE = 'trailmark_device';
/** The cookies that are ours. */
export const COOKIES = [SESSION_COOKIE, WORKSPACE_COOKIE, DEVICE_COOKIE];
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Lets in who has a valid access token or, on the pages' behalf, a session cookie. Everybody else gets a 401. */
export function authenticate(deps: Pick<ApiDeps, 'pool' | 'publicUrl'>): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const authorization = c.req.header('authorization');
    if (authorization !== undefined) {
      const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
      const principal =
        token === undefined || !looksLikeToken(TOKEN_PREFIX, token)
          ? null
          : await c
              .get('guesses')
              .check(token, c.get('clientAddress'), async () => await authenticateToken(deps.pool, token));
      if (principal === null) {
        throw new RequestError(
          'unauthenticated',
          'token_invalid',
          'The access token is not valid: it is unknown, was revoked, has expired, was made by someone who may not make it any more, or is not sent as Authorization: Bearer TOKEN.',
        );
      }
      c.set('principal', principal);
      c.set('authenticatedBy', 'token');
    } else {
      const principal = await sessionPrincipal(deps, c);
      if (principal === null) {
        throw new RequestError(
          'unauthenticated',
          'token_missing',
          'Send an access token as Authorization: Bearer TOKEN, or sign in.',
        );
      }
      // A cookie is sent whoever made the browser send it, so what changes something must come from our own pages.
      if (!SAFE_METHODS.has(c.req.method)) requireOwnOrigin(c, deps.publicUrl);
      c.set('principal', principal);
      c.set('authenticatedBy', 'cookie');
    }
    await next();
    // What is read with a secret is nobody else's: no proxy and no browser keeps it.
    c.res.headers.set('cache-control', 'no-store');
  };
}

/** Whose session the cookie belongs to; null without one, or with one that ended. */
export async function sessionPrincipal(deps: Pick<ApiDeps, 'pool'>, c: Context<ApiEnv>): Promise<Principal | null> {
  const sessionToken = sessionTokenOf(c);
  if (sessionToken === undefined || !looksLikeToken(SESSION_PREFIX, sessionToken)) return null;
  const lookUp = async (): Promise<Principal | null> =>
    await authenticateSession(deps.pool, sessionToken, getCookie(c, WORKSPACE_COOKIE));
  return await c.get('guesses').check(sessionToken, c.get('clientAddress'), lookUp);
}

export function sessionTokenOf(c: Context): string | undefined {
  return getCookie(c, SESSION_COOKIE);
}

export function setSessionCookie(c: Context, publicUrl: string, sessionToken: string, expires: Date): void {
  setCookie(c, SESSION_COOKIE, sessionToken, { ...cookieOptions(publicUrl), expires });
  forgetWorkspace(c);
}

export function deviceSecretOf(c: Context): string | undefined {
  return getCookie(c, DEVICE_COOKIE);
}

export function setDeviceCookie(c: Context, publicUrl: string, secret: string): void {
  const maxAge = KNOWN_DEVICE_DAYS * 86_400;
  setCookie(c, DEVICE_COOKIE, secret, { ...cookieOptions(publicUrl), path: '/sign-in', maxAge });
}

export function clearSessionCookie(c: Context): void {
  deleteCookie(c, SESSION_COOKIE, { path: '/' });
  forgetWorkspace(c);
}

/** Keeps which workspace the session looks at from now on. */
export function rememberWorkspace(c: Context, publicUrl: string, workspace: string): void {
  setCookie(c, WORKSPACE_COOKIE, workspace, cookieOptions(publicUrl));
}

/** The session looks at its user's first workspace again. */
export function forgetWorkspace(c: Context): void {
  deleteCookie(c, WORKSPACE_COOKIE, { path: '/' });
}

function cookieOptions(publicUrl: string): { httpOnly: true; sameSite: 'Lax'; secure: boolean; path: string } {
  return { httpOnly: true, sameSite: 'Lax', secure: publicUrl.startsWith('https:'), path: '/' };
}

/** Throws RequestError `origin_refused` unless the request comes from a page of this server. */
export function requireOwnOrigin(c: Context, publicUrl: string): void {
  const origin = c.req.header('origin');
  const own = new Set([new URL(publicUrl).origin, new URL(c.req.url).origin]);
  const allowed =
    origin === undefined || origin === 'null' ? c.req.header('sec-fetch-site') === 'same-origin' : own.has(origin);
  if (allowed) return;
  throw new RequestError(
    'forbidden',
    'origin_refused',
    'A change by session cookie must come from a page of this server. Other programs use an access token.',
  );
}
