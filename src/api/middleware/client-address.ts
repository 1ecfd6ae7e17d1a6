import type { MiddlewareHandler } from 'hono';
import { clientAddress, type TrustedProxies } from '../../security/index.ts';
import type { ApiEnv } from '../deps.ts';

/** Says where each request comes from: the one place that does. Whatever limits or tells by address reads `c.get('clientAddress')`. */
export function rememberClientAddress(trusted: TrustedProxies | undefined): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    // Where the server runs on Node there is a socket; in a test through app.request there is none.
    const env = c.env as { incoming?: { socket?: { remoteAddress?: string } } } | undefined;
    const socketAddress = env?.incoming?.socket?.remoteAddress;
    c.set('clientAddress', clientAddress(socketAddress, c.req.header('x-forwarded-for'), trusted));
    await next();
  };
}
