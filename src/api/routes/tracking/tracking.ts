import type { OpenAPIHono } from '@hono/zod-openapi';
import { Hono, type Context } from 'hono';
import { cors } from 'hono/cors';
import { RequestError, type RequestErrorKind } from '../../../errors.ts';
import {
  createSourceIdFilters,
  createWriteKeyResolver,
  EVENT_TYPES,
  EventWriter,
  isWriteKey,
  parseTrackingBody,
  readBatch,
  readSingle,
  WriterBusyError,
  type EventType,
  type IdFilter,
  type ResolvedSource,
  type SourceIdFilters,
  type TrackingBody,
  type WriteKeyResolver,
} from '../../../pipeline/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { GuessLimit } from '../../middleware/guess-limit.ts';
import { sayWhenToRetry } from '../../answers/errors.ts';
import { describeTracking } from './tracking-document.ts';
import { announcedBytes, readTrackingText } from './tracking-body.ts';
import { UnprovenBodies } from './unproven-bodies.ts';

type TrackingDeps = Pick<ApiDeps, 'pool' | 'logger'>;

type ReadBody = (body: Record<string, unknown>, receivedAtMs: number, idFilters: readonly IdFilter[]) => TrackingBody;

/** Segment's tracking API in the API's application and document: registerTracking mounts it at the root. */
export function registerTracking(app: OpenAPIHono<ApiEnv>, deps: TrackingDeps): void {
  describeTracking(app);
  app.route('/', trackingRoutes(deps));
}

/**
 * Segment's tracking API. Each call has its long name (`/v1/track`) and the letter that browser clients use (`/v1/t`). The
 * answer comes when the events are durable in the event log. See docs/decisions/0004-ingest.md for what is refused, and how.
 */
export function trackingRoutes(deps: TrackingDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  const resolve = createWriteKeyResolver(deps.pool);
  const idFiltersOf = createSourceIdFilters(deps.pool);
  const writer = new EventWriter(deps.pool);
  const unproven = new UnprovenBodies();
  const guesses = new GuessLimit('write keys');
  const handle = (read: ReadBody) => async (c: Context<ApiEnv>) => {
    try {
      return await ingest(c, read, { resolve, idFiltersOf, writer, unproven, guesses });
    } catch (error) {
      return answerProblem(c, error, deps);
    }
  };
  // A browser's page may be anywhere: the write key is what lets it in.
  const anyOrigin = cors({ origin: '*', allowMethods: ['POST', 'OPTIONS'], maxAge: 86_400 });
  const add = (path: string, read: ReadBody) => app.use(path, anyOrigin).post(path, handle(read));
  for (const type of EVENT_TYPES) {
    const read: ReadBody = (body, receivedAtMs, filters) => readSingle(body, type, receivedAtMs, filters);
    add(`/v1/${type}`, read);
    add(`/v1/${SHORT_NAMES[type]}`, read);
  }
  for (const name of ['batch', 'b', 'import']) add(`/v1/${name}`, readBatch);
  return app;
}

const SHORT_NAMES: Record<EventType, string> = {
  track: 't',
  identify: 'i',
  page: 'p',
  screen: 's',
  group: 'g',
  alias: 'a',
};

interface Ingest {
  resolve: WriteKeyResolver;
  idFiltersOf: SourceIdFilters;
  writer: EventWriter;
  unproven: UnprovenBodies;
  guesses: GuessLimit;
}

async function ingest(
  c: Context<ApiEnv>,
  read: ReadBody,
  { resolve, idFiltersOf, writer, unproven, guesses }: Ingest,
): Promise<Response> {
  const receivedAtMs = Date.now();
  const sourceOf = async (writeKey: unknown): Promise<ResolvedSource> =>
    await requireSource(
      writeKey,
      async (key) => await guesses.check(key, c.get('clientAddress'), async () => await resolve(key)),
    );
  const headerKey = basicUser(c.req.header('authorization'));
  // A stranger's body is not worth reading.
  const early = headerKey === undefined ? undefined : await sourceOf(headerKey);
  const readBody = async (): Promise<{ body: Record<string, unknown>; source: ResolvedSource }> => {
    const body = parseTrackingBody(await readTrackingText(c));
    return { body, source: early ?? (await sourceOf(body['writeKey'])) };
  };
  const { body, source } = early === undefined ? await unproven.hold(announcedBytes(c), readBody) : await readBody();
  const { workspaceId, sourceId, keyHash } = source;
  const { accepted, refused, warnings } = read(body, receivedAtMs, await idFiltersOf(sourceId));
  const entries = accepted.map((event) => ({ ...event, workspaceId, sourceId }));
  if (!(await writer.append({ keyHash, entries }))) {
    // What was remembered of the key was true until just now. Where it is again, the client may come again.
    await requireSource(headerKey ?? body['writeKey'], async (key) => await resolve(key, { anew: true }));
    throw new WriterBusyError('the source was switched off and on again meanwhile');
  }
  const [first] = refused;
  const told = warnings.length > 0 ? { warnings } : {};
  if (first === undefined) return c.json({ success: true, ...told });
  if (accepted.length > 0) return c.json({ success: true, refused, ...told });
  const { index, field, message } = first;
  const place = refused.length > 1 ? `batch[${index}]: ` : '';
  return c.json({ success: false, message: place + message, field, refused }, 400);
}

/** The write key in `Authorization: Basic base64(writeKey:)`. */
function basicUser(header: string | undefined): string | undefined {
  const encoded = /^basic +(\S+)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const [user = ''] = Buffer.from(encoded, 'base64').toString('utf8').split(':', 1);
  return user === '' ? undefined : user;
}

async function requireSource(writeKey: unknown, resolve: WriteKeyResolver): Promise<ResolvedSource> {
  if (typeof writeKey !== 'string' || writeKey === '') {
    throw new RequestError(
      'unauthenticated',
      'write_key_missing',
      'A write key is needed: as the user of Basic authentication, or as writeKey in the body.',
      { field: 'writeKey' },
    );
  }
  if (!isWriteKey(writeKey)) {
    throw new RequestError(
      'unauthenticated',
      'write_key_malformed',
      'That is no write key: one is tm_write_ and 32 letters, digits, - or _ behind it, as the source shows it.',
      { field: 'writeKey' },
    );
  }
  const source = await resolve(writeKey);
  if (source === null) {
    throw new RequestError('unauthenticated', 'write_key_unknown', 'There is no such write key.', {
      field: 'writeKey',
    });
  }
  if (!source.enabled) {
    throw new RequestError('forbidden', 'source_disabled', 'The source is disabled: enable it, and send again.');
  }
  return source;
}

const STATUSES: Partial<Record<RequestErrorKind, 401 | 403 | 429>> = {
  unauthenticated: 401,
  forbidden: 403,
  rate_limited: 429,
};

/** Refusals as Segment's clients know them: 400 is not tried again, 5xx is. */
function answerProblem(c: Context, error: unknown, { logger }: TrackingDeps): Response {
  if (error instanceof RequestError) {
    const { message, field } = error;
    if (error.kind === 'unavailable') {
      // What the client still sends of it is not waited for.
      c.header('Connection', 'close');
      c.header('Retry-After', '1');
      return c.json({ success: false, message }, 503);
    }
    sayWhenToRetry(error, c);
    const status = STATUSES[error.kind] ?? 400;
    return c.json({ success: false, message, ...(field === undefined ? {} : { field }) }, status);
  }
  if (c.req.raw.signal.aborted) return c.json({ success: false, message: 'The request was broken off.' }, 400);
  if (!(error instanceof WriterBusyError)) logger.error({ err: error }, 'events were not written');
  c.header('Retry-After', '1');
  return c.json({ success: false, message: 'The events could not be written. Send them again in a second.' }, 503);
}
