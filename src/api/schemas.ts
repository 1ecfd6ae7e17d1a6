import { z, type createRoute } from '@hono/zod-openapi';
import { RequestError, type RequestErrorKind } from '../errors.ts';
import { statusOf } from './answers/errors.ts';

type RouteResponses = Parameters<typeof createRoute>[0]['responses'];

const requestErrorSchema = z
  .object({
    type: z.string().describe('A stable code.'),
    message: z.string().describe('What is wrong, and what would be right.'),
    field: z.string().optional().describe('The path of the value that is wrong, such as definition.query.'),
    data: z.record(z.string(), z.unknown()).optional().describe('What a program may want to know besides.'),
    status: z.int().describe('The HTTP status, once more.'),
  })
  .openapi('RequestError');

const errorEnvelopeSchema = z.object({ errors: z.array(requestErrorSchema).min(1) }).openapi('RequestErrorEnvelope');

/** What each kind of refusal is, as the document says it. */
export const REFUSALS: Record<RequestErrorKind, string> = {
  invalid: 'The request is not valid; each error names its field.',
  unauthenticated: 'No valid access token and no session.',
  forbidden: 'The token or user may not do this; the error says why.',
  not_found: 'There is no such thing in this workspace.',
  method_not_allowed: 'The path does not take this method; Allow says which it takes.',
  conflict: 'It contradicts what is there.',
  too_large: 'The body is over its limit.',
  unsupported_media_type: 'The body is not of a type that is read here; the error says which are.',
  rate_limited: 'Too many requests; Retry-After says when to try again.',
  unavailable: 'An engine could not be reached.',
};

/**
 * A route's answers: its own, and an error envelope for each way of its own in which it can refuse. What any route may refuse for is added to
 * the document by `openApiDocument`.
 */
export function answers<const Own extends RouteResponses>(own: Own, ...refusals: RequestErrorKind[]): Own {
  const errors = Object.fromEntries(
    refusals.map((kind) => [
      statusOf(kind),
      {
        description: REFUSALS[kind],
        content: { 'application/json': { schema: errorEnvelopeSchema } },
      },
    ]),
  );
  return { ...errors, ...own };
}

/** `{ data }`, the envelope of every answer of Segment's Public API. */
export function dataOf<Schema extends z.ZodType>(
  description: string,
  schema: Schema,
): { description: string; content: { 'application/json': { schema: z.ZodObject<{ data: Schema }> } } } {
  return { description, content: { 'application/json': { schema: z.object({ data: schema }) } } };
}

/** A JSON body that has to be there. */
export function jsonBody<Schema extends z.ZodType>(
  schema: Schema,
): { required: true; content: { 'application/json': { schema: Schema } } } {
  return { required: true, content: { 'application/json': { schema } } };
}

/** A JSON body that may be left away: it is `{}` then. */
export function optionalJsonBody<Schema extends z.ZodType>(
  schema: Schema,
): { required: false; content: { 'application/json': { schema: Schema } } } {
  return { required: false, content: { 'application/json': { schema } } };
}

/** The security of every route that is not public. */
export const SIGNED_IN: Record<string, string[]>[] = [{ accessToken: [] }, { session: [] }];

/** What a deletion answers, as in Segment's Public API. */
export const deletedSchema = z.object({ status: z.literal('SUCCESS') }).openapi('Deleted');
export const DELETED = { data: { status: 'SUCCESS' as const } };

export const timestampSchema = z.iso.datetime({ offset: true }).openapi({ example: '2026-01-31T12:00:00.000Z' });

export const nameSchema = z
  .string()
  .trim()
  .min(1, 'A name has at least one character.')
  .max(200, 'A name has at most 200 characters.');

/** An id of ours in a path. */
export function idParam(name: string, example: string): z.ZodString {
  return z
    .string()
    .min(1)
    .max(100)
    .openapi({ param: { name, in: 'path' }, example });
}

export const spaceParamsSchema = z.object({ spaceId: idParam('spaceId', 'spa_01h455vb4pex5vsknk084sn02q') });

/** A whole number from 1 in a query string, and what it is where it is left away; its bounds are in the document as well. */
export function wholeNumberQuery(input: {
  max: number;
  default: number;
  description: string;
}): z.ZodDefault<z.ZodCoercedNumber> {
  const { max, description } = input;
  const problem = `A whole number from 1 to ${max}.`;
  return z.coerce
    .number(problem)
    .int(problem)
    .min(1, problem)
    .max(max, problem)
    .default(input.default)
    .openapi({ type: 'integer', minimum: 1, maximum: max, default: input.default, description });
}

// Segment's PaginationInput: from 1 to 1000. It requires a count; for whoever leaves it away it is 50 here.
/** `pagination[cursor]` and `pagination[count]`, as Segment's Public API names them. */
export const paginationQuerySchema = z.object({
  'pagination[cursor]': z
    .string()
    .min(1, 'A cursor of an earlier answer; leave it away to begin at the first page.')
    .max(500)
    .optional()
    .openapi({ description: 'Opaque: `next`, `previous` or `current` of an earlier answer.' }),
  'pagination[count]': wholeNumberQuery({ max: 1_000, default: 50, description: 'Rows on a page, at most 1000.' }),
});

type PaginationQuery = z.infer<typeof paginationQuerySchema>;

export const paginationSchema = z
  .object({
    current: z.string(),
    next: z.string().optional().describe('Not there on the last page.'),
    previous: z.string().optional().describe('Not there on the first page.'),
    totalEntries: z.int().optional(),
  })
  .openapi('PaginationOutput');

type PaginationResponse = z.infer<typeof paginationSchema>;

/** A moment or a day in a query string. */
export function timeQuery(description: string): z.ZodOptional<z.ZodUnion<readonly [z.ZodISODateTime, z.ZodISODate]>> {
  const problem = 'A time in ISO 8601, such as 2026-01-31T12:00:00Z.';
  return z
    .union([z.iso.datetime({ offset: true, error: problem }), z.iso.date(problem)])
    .optional()
    .openapi({
      type: 'string',
      anyOf: [{ format: 'date-time' }, { format: 'date' }],
      example: '2026-01-31T12:00:00Z',
      description,
    });
}

const FIRST_PAGE = 'start';

/** The id that a cursor of `pageAfter` stands for; undefined for the first page. Throws RequestError `cursor_invalid`. */
export function readCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (text === FIRST_PAGE) return undefined;
  if (/^after:[a-z]{2,8}_[0-9a-z]{26}$/.test(text)) return text.slice('after:'.length);
  throw brokenCursor();
}

/** The pages beside one of a list that is ordered by id: where each begins, or null where there is none. */
interface Neighbours {
  nextAfterId: string | null;
  /** With an afterId of null it is the first page. */
  previous: { afterId: string | null } | null;
}

/** The pagination of a page that is ordered by id. */
export function pageAfter(
  cursor: string | undefined,
  { nextAfterId, previous }: Neighbours,
  total: number,
): PaginationResponse {
  return {
    current: cursor ?? encode(FIRST_PAGE),
    ...(nextAfterId === null ? {} : { next: encode(`after:${nextAfterId}`) }),
    ...(previous === null
      ? {}
      : { previous: encode(previous.afterId === null ? FIRST_PAGE : `after:${previous.afterId}`) }),
    totalEntries: total,
  };
}

/**
 * One page of rows that were all read anyway (there are few of them), by the same cursors. The rows are put in the order of
 * their ids, which is that of their making: so a cursor keeps its place when the row it names is gone.
 */
export function pageOf<Row extends { id: string }>(
  rows: readonly Row[],
  query: PaginationQuery,
  order: 'oldest first' | 'newest first' = 'oldest first',
): { rows: Row[]; pagination: PaginationResponse } {
  const { 'pagination[cursor]': cursor, 'pagination[count]': count } = query;
  const sign = order === 'oldest first' ? 1 : -1;
  const compare = (one: string, other: string): number => (one === other ? 0 : one < other ? -sign : sign);
  const sorted = rows.toSorted((one, other) => compare(one.id, other.id));
  const afterId = readCursor(cursor);
  const from = afterId === undefined ? 0 : sorted.filter((row) => compare(row.id, afterId) <= 0).length;
  const page = sorted.slice(from, from + count);
  const neighbours = {
    nextAfterId: from + count < sorted.length ? (page.at(-1)?.id ?? null) : null,
    previous: from === 0 ? null : { afterId: sorted[from - count - 1]?.id ?? null },
  };
  return { rows: page, pagination: pageAfter(cursor, neighbours, sorted.length) };
}

/** One page of a list that never changes while the process runs, by place. */
export function offsetPageOf<Row>(
  rows: readonly Row[],
  query: PaginationQuery,
): { rows: Row[]; pagination: PaginationResponse } {
  const { 'pagination[cursor]': cursor, 'pagination[count]': count } = query;
  const text = cursor === undefined ? FIRST_PAGE : Buffer.from(cursor, 'base64url').toString('utf8');
  const from = text === FIRST_PAGE ? 0 : Number(/^from:(\d{1,6})$/.exec(text)?.[1] ?? Number.NaN);
  if (Number.isNaN(from)) throw brokenCursor();
  const next = from + count;
  const previous = Math.max(0, from - count);
  return {
    rows: rows.slice(from, next),
    pagination: {
      current: cursor ?? encode(FIRST_PAGE),
      ...(next < rows.length ? { next: encode(`from:${next}`) } : {}),
      ...(from === 0 ? {} : { previous: encode(previous === 0 ? FIRST_PAGE : `from:${previous}`) }),
      totalEntries: rows.length,
    },
  };
}

function brokenCursor(): RequestError {
  return new RequestError(
    'invalid',
    'cursor_invalid',
    'pagination[cursor] is not a cursor of this list. Use `next` or `previous` of an earlier answer as it is, or leave it away to begin at the first page.',
    { field: 'pagination[cursor]' },
  );
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}
