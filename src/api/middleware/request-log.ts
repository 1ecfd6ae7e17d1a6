import { randomUUID } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { Logger } from '../../logger.ts';
import type { ApiEnv } from '../deps.ts';

const SANE_ID = /^[\w.:-]{8,128}$/;

/** Gives each request an id (the caller's own, if it is sane), and logs each answer: no header, no body, no path's values, no query string. */
export function requestLog(logger: Logger): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const startedAt = performance.now();
    const given = c.req.header('x-request-id') ?? '';
    const requestId = SANE_ID.test(given) ? given : `req_${randomUUID()}`;
    c.set('requestId', requestId);
    await next();
    c.res.headers.set('x-request-id', requestId);
    const principal = c.get('principal') as ApiEnv['Variables']['principal'] | undefined;
    logger.debug(
      {
        requestId,
        method: c.req.method,
        // The route and not the path: Segment's API has a path with a write key in it.
        route: routePath(c, -1),
        status: c.res.status,
        ms: Math.round(performance.now() - startedAt),
        workspaceId: principal?.workspaceId,
        actorId: principal?.actor.id,
      },
      'request',
    );
  };
}
