import { stringifyJson } from '../../exact-json.ts';

/** The answer that `c.json` made of a body, with the exact numbers in it written with all of their digits. */
export function withExactNumbers<Answer>(answer: Answer & Response, body: unknown): Answer {
  const { status, headers } = answer;
  return new Response(stringifyJson(body), { status, headers }) as Answer & Response;
}
