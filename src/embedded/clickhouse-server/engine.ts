import { drainPending, Session, type ChdbQueryStream } from 'chdb';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { StartError } from '../errors.ts';
import { exception } from './exception.ts';
import { createGate } from './gate.ts';
import { parseInsert } from './insert-statement.ts';
import { createRunningQueries, killedBy } from './running-queries.ts';
import { formatOf, isStreamable, kindOf } from './statements.ts';
import type { QueryRequest } from './read-request.ts';

export interface EngineOptions {
  /** The folder of its data. Exactly one process may have it. */
  folder: string;
  /** What all queries together may use, in bytes; one query gets three quarters of it. */
  memoryLimitBytes: number;
  /** Pieces of native work at once: each occupies a thread of libuv's pool. */
  concurrency: number;
  durable: boolean;
}

const KILL_AGAIN_AFTER_MS = 200;

interface QueryResult {
  /** The bytes of the answer, in its format. */
  chunks: AsyncIterable<Uint8Array>;
  format: string;
  writtenRows: number;
}

export interface Engine {
  readonly version: string;
  /** Runs a statement. When `signal` is aborted, or the query killed by its id, the engine stops working on it. */
  execute(request: QueryRequest, signal: AbortSignal): Promise<QueryResult>;
  close(): Promise<void>;
}

/**
 * Opens chDB on a folder. Each statement gets a session of its own (well under a millisecond): settings, parameters and
 * the database of one never reach another, whatever runs at the same time.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const store = join(options.folder, 'store');
  mkdirSync(store, { recursive: true, mode: 0o700 });
  const configFile = join(options.folder, 'config.xml');
  writeFileSync(configFile, engineConfig(options), { mode: 0o600 });
  // Held open for the life of the process: the engine ends with its last session.
  const anchor = openAnchor(store, configFile);
  const gate = createGate(options.concurrency);
  const running = createRunningQueries();
  const perQuery = String(Math.floor(options.memoryLimitBytes * 0.75));
  await anchor.queryAsync('CREATE DATABASE IF NOT EXISTS trailmark');
  const version = (await anchor.queryAsync('SELECT version()', { format: 'TabSeparatedRaw' })).text().trim();

  async function execute(request: QueryRequest, clientGone: AbortSignal): Promise<QueryResult> {
    const killed = killedBy(request);
    if (killed !== undefined) return await tellKilled(request, killed, running.end(killed));
    const session = new Session(store);
    // Names this query among the running ones, so that it can be stopped from outside.
    const mark = randomUUID();
    const killing = new AbortController();
    const signal = AbortSignal.any([clientGone, killing.signal]);
    const forget = request.queryId === undefined ? undefined : running.add(request.queryId, () => killing.abort());
    let ended = false;
    const stop = (): void => void kill(mark, () => ended);
    let handedOver = false;
    const finish = (): void => {
      // A flag: to abort a signal makes an error with its stack, for each statement.
      ended = true;
      forget?.();
      signal.removeEventListener('abort', stop);
      session.close();
    };
    try {
      await gate(async () => {
        refuseIfGone(signal);
        if (request.database !== undefined) await session.queryAsync(`USE ${quoteName(request.database)}`);
        await session.queryAsync(`SET ${preamble(request, { max_memory_usage: perQuery }, mark)}`);
      });
      signal.addEventListener('abort', stop, { once: true });
      const kind = kindOf(request.sql);
      const format = formatOf(request.sql) ?? request.defaultFormat ?? 'TabSeparated';
      if (kind === 'insert' && request.data !== undefined) {
        return await gate(async () => {
          refuseIfGone(signal);
          return await insert(session, request.sql, request.data as Buffer);
        });
      }
      if (kind === 'select' && isStreamable(format)) {
        const stream = session.queryStream(request.sql, { format });
        // The first piece decides between an answer and an error, before a byte has been sent.
        const pieces = piecesOf(stream, signal);
        const first = await pieces.next();
        handedOver = true;
        return { chunks: resume(first, pieces, finish), format, writtenRows: 0 };
      }
      const result = await gate(async () => {
        refuseIfGone(signal);
        return await session.queryAsync(request.sql, { format });
      });
      return { chunks: once(result.bytes()), format, writtenRows: 0 };
    } finally {
      if (!handedOver) finish();
    }
  }

  /** Fetches piece by piece, each in the gate: a stream whose reader is slow occupies no thread. */
  async function* piecesOf(stream: ChdbQueryStream, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const iterator = stream[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await gate(async () => {
          refuseIfGone(signal);
          return await iterator.next();
        });
        if (next.done === true) return;
        yield next.value.raw();
      }
    } finally {
      stream.cancel();
    }
  }

  /**
   * Not through the gate: what it ends may be what fills the gate. Again and again until the query has ended, because a thread that
   * has only just taken it is not among the running ones yet.
   */
  async function kill(mark: string, ended: () => boolean): Promise<void> {
    while (!ended()) {
      const session = new Session(store);
      try {
        await session.queryAsync(`KILL QUERY WHERE Settings['log_comment'] = '${mark}' ASYNC`);
      } catch {
        // The engine is closing.
        return;
      } finally {
        session.close();
      }
      await wait(KILL_AGAIN_AFTER_MS, undefined, { ref: false });
    }
  }

  /** What ClickHouse answers to KILL QUERY: a row for each query that it has told to end. Not through the gate either. */
  async function tellKilled(request: QueryRequest, queryId: string, count: number): Promise<QueryResult> {
    const format = formatOf(request.sql) ?? request.defaultFormat ?? 'TabSeparated';
    const session = new Session(store);
    try {
      const row = `'waiting' AS kill_status, ${quoteText(queryId)} AS query_id`;
      const result = await session.queryAsync(`SELECT ${row} FROM numbers(${count})`, { format });
      return { chunks: once(result.bytes()), format, writtenRows: 0 };
    } finally {
      session.close();
    }
  }

  return {
    version,
    execute,
    close: async () => {
      await drainPending();
      anchor.close();
    },
  };
}

function openAnchor(store: string, configFile: string): Session {
  try {
    return new Session(store, { connectionArgs: [`--config-file=${configFile}`] });
  } catch (error) {
    throw new StartError(
      `The embedded ClickHouse engine can't open ${store}; the line above says why. ` +
        'If another server has it, stop that one first: one process owns a folder.',
      { cause: error },
    );
  }
}

async function insert(session: Session, sql: string, data: Buffer): Promise<QueryResult> {
  const statement = parseInsert(sql);
  if (statement !== undefined) {
    // The engine parses the bytes itself; nothing of them becomes a string here.
    const summary = await session.insert({ ...statement, values: data });
    return { chunks: once(new Uint8Array(0)), format: 'TabSeparated', writtenRows: summary.rowsWritten };
  }
  const text = data.toString('utf8');
  if (text.includes('\0') || text.includes('\uFFFD')) {
    throw exception(73, 'The embedded engine takes inserts in text formats only, such as JSONEachRow or CSV.');
  }
  await session.queryAsync(`${sql}\n${text}`);
  return { chunks: once(new Uint8Array(0)), format: 'TabSeparated', writtenRows: 0 };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

async function* resume(
  first: IteratorResult<Uint8Array>,
  rest: AsyncGenerator<Uint8Array>,
  finish: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    if (first.done === true) return;
    yield first.value;
    yield* rest;
  } finally {
    await rest.return(undefined);
    finish();
  }
}

function refuseIfGone(signal: AbortSignal): void {
  if (signal.aborted) throw exception(394, 'Query was cancelled: it was killed, or its client is gone.');
}

/** The assignments of one SET: settings, parameters, and the mark by which the query is found. */
function preamble(request: QueryRequest, defaults: Record<string, string>, mark: string): string {
  const assignments = Object.entries({ ...defaults, ...request.settings, log_comment: mark }).map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_.]*$/.test(name)) throw exception(115, `Unknown setting '${name}'.`);
    return `${name} = ${quoteText(value)}`;
  });
  for (const [name, value] of Object.entries(request.params)) {
    if (!/^\w+$/.test(name)) throw exception(36, `'${name}' is not a name of a query parameter.`);
    assignments.push(`param_${name} = ${quoteText(value)}`);
  }
  return assignments.join(', ');
}

function quoteText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function quoteName(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}

/** Sized for one machine that other programs share: caches are small, what is acknowledged is on the disk. */
function engineConfig(options: EngineOptions): string {
  const flag = options.durable ? 1 : 0;
  return `<clickhouse>
  <max_server_memory_usage>${options.memoryLimitBytes}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <index_mark_cache_size>16777216</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <mmap_cache_size>100</mmap_cache_size>
  <background_pool_size>4</background_pool_size>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <merge_tree>
    <fsync_after_insert>${flag}</fsync_after_insert>
    <fsync_part_directory>${flag}</fsync_part_directory>
    <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
</clickhouse>
`;
}
