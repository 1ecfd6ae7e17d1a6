import type { Context, MiddlewareHandler } from 'hono';
import { RequestError } from '../../errors.ts';
import { ExactNumber, parseJson, toPlain } from '../../exact-json.ts';
import { isStorable } from '../../store/index.ts';
import type { ApiEnv } from '../deps.ts';
import { unreadable, UNSTORABLE } from './request-texts.ts';
import { bodyMissing, type RouteTable } from '../route-table.ts';
import { decodeUtf8 } from './utf8.ts';

// As deep as ingest takes it; what walks through JSON later has room for that.
const MAX_DEPTH = 100;

/**
 * The one place where the JSON body of a request is read: decoded once, parsed once, and refused by the name of the field whose text,
 * number, name or depth can't be kept as it was sent. Whoever asks for the body after this gets what was read here. A body of no bytes
 * is none, whatever its headers say. Throws RequestError `body_missing`, `body_not_utf8`, `malformed_body`, `number_not_kept` or
 * `text_unreadable`.
 */
export function readBody(table: RouteTable): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const { method } = c.req;
    if (method !== 'GET' && method !== 'HEAD') {
      const body = await readJson(c, table);
      c.req.json = async () => await Promise.resolve(body as never);
    }
    await next();
  };
}

async function readJson(c: Context<ApiEnv>, table: RouteTable): Promise<unknown> {
  const text = decodeUtf8(new Uint8Array(await c.req.arrayBuffer()));
  const wanted = table.operationOf(c.req.method, c.req.path)?.body ?? 'none';
  if (text === '') {
    if (wanted === 'required') throw bodyMissing();
    return {};
  }
  const value = parse(text, wanted);
  const problem = problemOf(value, '', 0);
  if (problem !== null) throw problem;
  return toPlain(value);
}

function parse(text: string, wanted: 'none' | 'optional' | 'required'): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    // What is so deep that the parser itself has no room is too deep anyway.
    if (error instanceof RangeError) throw tooDeep('');
    // Nobody reads it.
    if (wanted === 'none') return {};
    // Without the parser's own words: they repeat what was sent, and that may be a secret.
    throw new RequestError('invalid', 'malformed_body', 'The body is not well-formed JSON.');
  }
}

/** What refuses the first thing in a JSON value that can't be kept; null where there is none. */
function problemOf(value: unknown, place: string, depth: number): RequestError | null {
  if (typeof value === 'string') {
    return isStorable(value) ? null : unreadable(place, `${nameOf(place)} ${UNSTORABLE}.`);
  }
  if (typeof value !== 'object' || value === null) return null;
  if (value instanceof ExactNumber) return value.changesAsDouble ? numberNotKept(value, place) : null;
  if (depth >= MAX_DEPTH) return tooDeep(place.split('.', 1)[0] ?? '');
  for (const [name, part] of Object.entries(value)) {
    const inside = place === '' ? name : `${place}.${name}`;
    if (!isStorable(name)) return unreadable(place, `The name of a property of ${nameOf(place)} ${UNSTORABLE}.`);
    if (name === '__proto__') {
      return unreadable(inside, `${nameOf(inside)}: no property may have this name. Give it another one.`);
    }
    const problem = problemOf(part, inside, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}

/** People's numbers in definitions, mappings and settings are kept as they typed them, or not at all. */
function numberNotKept(number: ExactNumber, place: string): RequestError {
  const shown = number.source.length > 40 ? `${number.source.slice(0, 40)}…` : number.source;
  return new RequestError(
    'invalid',
    'number_not_kept',
    `${nameOf(place)}: ${shown} has more digits, or is larger, than a number here can be. Send it as a string: "${shown}".`,
    place === '' ? {} : { field: place },
  );
}

// A place so deep names nothing: `top` is the outermost that it is in.
function tooDeep(top: string): RequestError {
  return unreadable(top, `${nameOf(top)}: objects and lists may be ${MAX_DEPTH} deep in each other, no more.`);
}

function nameOf(place: string): string {
  return place === '' ? 'The body' : place;
}
