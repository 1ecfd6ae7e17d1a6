import type { MiddlewareHandler } from 'hono';
import { deleteCookie, getCookie } from 'hono/cookie';
import { RequestError } from '../../errors.ts';
import { isStorable } from '../../store/index.ts';
import type { ApiEnv } from '../deps.ts';
import { decodePercent } from './utf8.ts';

/**
 * What a request says has to be text that can be kept as it is, wherever in it. What is not is refused before anything is done with
 * it, by the name of what it is in: or it would be refused by PostgreSQL, or become another text.
 */

export const UNSTORABLE = 'has a NUL or half of a surrogate pair in it. Leave that out';

/** Refuses a path, a query string or one of `cookies` that is no text. A cookie that is refused is taken away. */
export function requireReadableAddress(cookies: readonly string[]): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const { pathname, search } = splitUrl(c.req.url);
    requireReadable(pathname, 'path', 'The path');
    requireReadablePairs(search.slice(1), 'query parameter', 'query string');
    for (const name of cookies) {
      const value = getCookie(c, name);
      if (value === undefined || (isStorable(value) && decodePercent(value) !== null)) continue;
      // Or whoever has it would never see anything else.
      deleteCookie(c, name, { path: '/' });
      throw unreadable(name, `The cookie ${name} ${UNSTORABLE}; it is taken away.`);
    }
    await next();
  };
}

/**
 * Refuses `a=b&c=d`, percent-encoded, where a name or a value is no text. `what` is what one of them is called, such as "field", and
 * `where` what all of them are in. Throws RequestError `text_unreadable`.
 */
export function requireReadablePairs(text: string, what: string, where: string): void {
  for (const [name, value] of pairsOf(text)) {
    requireReadable(name, where, `The name of a ${what}`);
    const shown = decodePercent(name) ?? '';
    requireReadable(value, shown, `The ${what} ${shown}`);
  }
}

// Without new URL(), which would be strict in its own way.
function splitUrl(url: string): { pathname: string; search: string } {
  const [, pathname = '', search = ''] = /^(?:[a-z]+:\/\/[^/?#]*)?([^?#]*)(\?[^#]*)?/i.exec(url) ?? [];
  return { pathname, search };
}

/** The names and values of `a=b&c=d`, still percent-encoded. */
function pairsOf(text: string): [name: string, value: string][] {
  if (text === '') return [];
  return text.split('&').map((pair) => {
    const at = pair.indexOf('=');
    return at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
  });
}

function requireReadable(encoded: string, field: string, what: string): void {
  const text = decodePercent(encoded);
  if (text === null) throw unreadable(field, `${what} is not percent-encoded UTF-8.`);
  if (!isStorable(text)) throw unreadable(field, `${what} ${UNSTORABLE}.`);
}

/** The refusal of what is no text that can be kept, by the field it is in. */
export function unreadable(field: string, message: string): RequestError {
  return new RequestError('invalid', 'text_unreadable', message, field === '' ? {} : { field });
}
