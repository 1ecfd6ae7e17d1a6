import type { MiddlewareHandler } from 'hono';
import { deleteCookie, getCookie } from 'hono/cookie';
import { RequestError } from '../errors.ts';
import { isStorable } from '../store/index.ts';
import type { ApiEnv } from './deps.ts';
import { decodePercent, decodeUtf8 } from './utf8.ts';

/**
 * What a request says has to be text that can be kept as it is, wherever in it. What is not is refused before anything is done with
 * it, by the name of what it is in: or it would be refused by PostgreSQL, or become another text.
 */

// As deep as ingest takes it; what walks through JSON later has room for that.
const MAX_DEPTH = 100;

const UNSTORABLE = 'has a NUL or half of a surrogate pair in it. Leave that out';

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

/** Refuses a JSON body that is not UTF-8, or has a text, a number or a depth that can't be kept. Others are left to their routes. */
export function requireReadableBody(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const { method } = c.req;
    if (method !== 'GET' && method !== 'HEAD') {
      const text = decodeUtf8(new Uint8Array(await c.req.arrayBuffer()));
      const problem = problemOf(parse(text), '', 0);
      if (problem !== null) throw unreadable(problem.field, problem.message);
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

interface Problem {
  field: string;
  message: string;
}

/** The first thing in a JSON value that can't be kept; null where there is none. */
function problemOf(value: unknown, place: string, depth: number): Problem | null {
  if (typeof value === 'string') {
    return isStorable(value) ? null : { field: place, message: `${nameOf(place)} ${UNSTORABLE}.` };
  }
  // JSON.parse makes Infinity of 1e400.
  if (typeof value === 'number' && !Number.isFinite(value)) {
    return { field: place, message: `${nameOf(place)} is a number larger than any that can be kept.` };
  }
  if (typeof value !== 'object' || value === null) return null;
  if (depth >= MAX_DEPTH) {
    // A place so deep names nothing.
    const top = place.split('.', 1)[0] ?? '';
    return {
      field: top,
      message: `${nameOf(top)}: objects and lists may be ${MAX_DEPTH} deep in each other, no more.`,
    };
  }
  for (const [name, part] of Object.entries(value)) {
    const inside = place === '' ? name : `${place}.${name}`;
    if (!isStorable(name))
      return { field: place, message: `The name of a property of ${nameOf(place)} ${UNSTORABLE}.` };
    if (name === '__proto__') {
      return { field: inside, message: `${nameOf(inside)}: no property may have this name. Give it another one.` };
    }
    const problem = problemOf(part, inside, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}

function nameOf(place: string): string {
  return place === '' ? 'The body' : place;
}

/** What is not JSON is refused by whoever reads it, in their own words. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreadable(field: string, message: string): RequestError {
  return new RequestError('invalid', 'text_unreadable', message, field === '' ? {} : { field });
}
