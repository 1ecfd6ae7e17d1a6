import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { ApiEnv } from './deps.ts';

/** What the API refused, in its own words. */
export interface Refusal {
  status: ContentfulStatusCode;
  code: string;
  message: string;
}

const PASSED_ON = ['cookie', 'origin', 'sec-fetch-site', 'x-forwarded-for', 'x-request-id'];

/**
 * Does what a button of a page asks for: a call of our own API, in this process, as whoever pressed it. So a button can do what the
 * API can and nothing else, with the same validators, limits, audit events and sentences. Null where it was done.
 */
export async function callApi(
  app: OpenAPIHono<ApiEnv>,
  c: Context<ApiEnv>,
  call: { method: 'POST' | 'PATCH'; path: string; body: Record<string, unknown> },
): Promise<Refusal | null> {
  const headers = new Headers({ accept: 'application/json', 'content-type': 'application/json' });
  for (const name of PASSED_ON) {
    const value = c.req.header(name);
    if (value !== undefined) headers.set(name, value);
  }
  const response = await app.request(
    // The whole address, so that where the page came from is told from it as in any request.
    new Request(new URL(call.path, c.req.url), { method: call.method, headers, body: JSON.stringify(call.body) }),
    undefined,
    c.env,
  );
  if (response.ok) return null;
  const answer = (await response.json()) as { errors?: { type: string; message: string }[] };
  const [error] = answer.errors ?? [];
  return {
    status: response.status as ContentfulStatusCode,
    code: error?.type ?? 'refused',
    message: error?.message ?? `The API answered ${response.status}.`,
  };
}
