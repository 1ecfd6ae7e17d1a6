import type { MiddlewareHandler } from 'hono';
import type { ApiEnv } from '../deps.ts';

const SEGMENT_JSON = /application\/vnd\.segment\.v1(?:alpha|beta)?\+json/;

/**
 * Segment's media types: a body that comes as `application/vnd.segment.v1+json` (or v1beta, v1alpha) is read as JSON, and
 * whoever asks for such a type and not for plain JSON is answered in it.
 */
export function segmentMediaTypes(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (SEGMENT_JSON.test(c.req.header('content-type') ?? '')) {
      const headers = new Headers(c.req.raw.headers);
      headers.set('content-type', 'application/json');
      c.req.raw = new Request(c.req.raw, { headers });
    }
    await next();
    const accept = c.req.header('accept') ?? '';
    const asked = SEGMENT_JSON.exec(accept)?.[0];
    if (asked === undefined || /application\/json|\*\/\*/.test(accept)) return;
    if (c.res.headers.get('content-type')?.startsWith('application/json') === true) {
      c.res.headers.set('content-type', `${asked}; charset=utf-8`);
    }
  };
}
