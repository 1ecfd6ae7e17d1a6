import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { finished, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { startListener, targetOf } from '../../listen/index.ts';
import { openEngine, type Engine, type EngineOptions } from './engine.ts';
import { exception, toException } from './exception.ts';
import { isAuthentic, readRequest } from './read-request.ts';

export interface ClickHouseServerOptions extends EngineOptions {
  host: string;
  port: number;
  user: string;
  password: string;
  /** Hears of errors that no client can be told of any more. */
  onError: (error: unknown) => void;
}

export interface ClickHouseServer {
  port: number;
  version: string;
  /** Takes no new connections, lets running queries end, and closes the engine. */
  close(): Promise<void>;
}

const MAX_QUERIES = 200;
const DEFAULT_PROGRESS_MS = 100;

/** Serves chDB by ClickHouse's HTTP interface, so far as a client needs it: no sessions, no external tables, text inserts. */
export async function serveClickHouse(options: ClickHouseServerOptions): Promise<ClickHouseServer> {
  const engine = await openEngine(options);
  let queries = 0;
  const listener = await startListener({
    host: options.host,
    port: options.port,
    maxHeadBytes: 1024 * 1024,
    // An insert may be long, and its client has said who it is before it begins.
    requestTimeoutMs: 0,
    refuseWebPages: true,
    onError: options.onError,
    answer: async (request, response) => {
      const { path } = targetOf(request);
      if (path === '/ping' || path === '/replicas_status') {
        response.end('Ok.\n');
        return;
      }
      queries++;
      try {
        await answer(engine, options, request, response, { path, tooMany: queries > MAX_QUERIES });
      } finally {
        queries--;
      }
    },
  });
  return {
    port: listener.port,
    version: engine.version,
    close: async () => {
      await listener.close();
      await engine.close();
    },
  };
}

async function answer(
  engine: Engine,
  options: ClickHouseServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  context: { path: string; tooMany: boolean },
): Promise<void> {
  const gone = new AbortController();
  // The client hung up before it had its answer.
  finished(response, () => response.writableFinished || gone.abort());
  try {
    if (!isAuthentic(request, options))
      throw exception(516, 'Authentication failed: password is incorrect, or there is no such user.');
    if (context.path !== '/') throw exception(107, `There is no handle ${context.path}.`);
    if (context.tooMany) throw exception(202, `Too many simultaneous queries. Maximum: ${MAX_QUERIES}.`);
    const query = await readRequest(request);
    const queryId = query.queryId ?? randomUUID();
    const progress = tellProgress(query.settings, response);
    const result = await engine.execute(query, gone.signal).finally(() => clearInterval(progress));
    response.writeHead(200, {
      'Content-Type': contentTypeOf(result.format),
      'X-ClickHouse-Query-Id': queryId,
      'X-ClickHouse-Format': result.format,
      'X-ClickHouse-Timezone': 'UTC',
      'X-ClickHouse-Server-Display-Name': 'trailmark',
      'X-ClickHouse-Summary': summary(result.writtenRows),
      ...(query.compressResponse ? { 'Content-Encoding': 'gzip' } : {}),
    });
    const body = Readable.from(result.chunks, { objectMode: false });
    if (query.compressResponse) await pipeline(body, createGzip(), response);
    else await pipeline(body, response);
  } catch (error) {
    if (gone.signal.aborted) return;
    if (response.headersSent) {
      // The status can't be changed any more. The frame that ClickHouse puts an error into at the end of its answer makes
      // @clickhouse/client 1.23 loop for ever where it arrives in two pieces, so the answer breaks off instead.
      options.onError(error);
      response.destroy();
      return;
    }
    const failure = toException(error);
    response.writeHead(failure.status, {
      'Content-Type': 'text/plain; charset=UTF-8',
      'X-ClickHouse-Exception-Code': String(failure.code),
      'X-ClickHouse-Summary': summary(0),
      // What is left of the body was not read.
      ...(request.complete ? {} : { Connection: 'close' }),
    });
    response.end(`${failure.message} (version ${engine.version})\n`);
  }
}

/**
 * Shows that a statement is still at work, where the client asks for it. ClickHouse writes a header now and then; Node's server
 * writes them all at once, and has for this the informational answer 102.
 */
function tellProgress(settings: Record<string, string>, response: ServerResponse): NodeJS.Timeout | undefined {
  if (settings['send_progress_in_http_headers'] !== '1') return undefined;
  const everyMs = Number(settings['http_headers_progress_interval_ms'] ?? DEFAULT_PROGRESS_MS);
  if (!(everyMs >= 100 && everyMs < 2 ** 31)) return undefined;
  return setInterval(() => {
    if (!response.headersSent && !response.destroyed) response.writeProcessing();
  }, everyMs);
}

function summary(writtenRows: number): string {
  return JSON.stringify({
    read_rows: '0',
    read_bytes: '0',
    written_rows: String(writtenRows),
    written_bytes: '0',
    total_rows_to_read: '0',
    result_rows: '0',
    result_bytes: '0',
    elapsed_ns: '0',
  });
}

function contentTypeOf(format: string): string {
  const name = format.toLowerCase();
  if (name === 'jsoneachrow' || name === 'jsoncompacteachrow') return 'application/x-ndjson; charset=UTF-8';
  if (name.startsWith('json')) return 'application/json; charset=UTF-8';
  if (name.startsWith('csv')) return 'text/csv; charset=UTF-8; header=absent';
  if (name.startsWith('tabseparated') || name.startsWith('tsv')) return 'text/tab-separated-values; charset=UTF-8';
  return name === 'rowbinary' || name === 'native' ? 'application/octet-stream' : 'text/plain; charset=UTF-8';
}
