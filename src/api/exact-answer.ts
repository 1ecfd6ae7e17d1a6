import type { MiddlewareHandler } from 'hono';
import { RequestError } from '../errors.ts';
import { findExact, parseJson, stringifyJson } from '../exact-json.ts';
import { decodeUtf8 } from './utf8.ts';

/** The answer that `c.json` made of a body, with the exact numbers in it written with all of their digits. */
export function withExactNumbers<Answer>(answer: Answer & Response, body: unknown): Answer {
  const { status, headers } = answer;
  return new Response(stringifyJson(body), { status, headers }) as Answer & Response;
}

/**
 * Refuses a body with a number that JavaScript would change, naming it: what people type into definitions, mappings and settings is
 * kept as they typed it, or not at all. Throws RequestError `number_not_kept`, or `body_not_utf8`.
 */
export function keptNumbers(): MiddlewareHandler {
  return async (c, next) => {
    // By its bytes: what is decoded leniently once stays so for everyone who reads the body after it.
    const isJson = /\bjson\b/i.test(c.req.header('content-type') ?? '');
    if (isJson) requireKept(decodeUtf8(new Uint8Array(await c.req.arrayBuffer())));
    await next();
  };
}

function requireKept(text: string): void {
  const found = findChanged(text);
  if (found === null) return;
  const { path, number } = found;
  const shown = number.source.length > 40 ? `${number.source.slice(0, 40)}…` : number.source;
  throw new RequestError(
    'invalid',
    'number_not_kept',
    `${path === '' ? 'The body' : path}: ${shown} has more digits, or is larger, than a number here can be. Send it as a string: "${shown}".`,
    path === '' ? {} : { field: path },
  );
}

function findChanged(text: string): ReturnType<typeof findExact> {
  try {
    return findExact(parseJson(text), (number) => number.changesAsDouble);
  } catch {
    // No JSON, or too deep for the stack: whoever reads it says what is wrong with it.
    return null;
  }
}
