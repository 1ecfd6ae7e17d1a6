import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { pipeline, type Duplex, type Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { targetOf } from '../../listen/index.ts';
import { exception } from './exception.ts';

/** The largest body that is taken. A batch is one insert, whole or not at all, so it has to fit into memory. */
const BODY_LIMIT_BYTES = 512 * 1024 * 1024;

/** One request of ClickHouse's HTTP interface, taken apart. */
export interface QueryRequest {
  /** The query of the address and, behind it, the text of the body, where the body is not an insert's data. */
  sql: string;
  /** The data of an insert whose query is in the address. */
  data: Buffer | undefined;
  database: string | undefined;
  defaultFormat: string | undefined;
  queryId: string | undefined;
  /** Values of `{name:Type}` in ClickHouse's escaped text form, as they came. */
  params: Record<string, string>;
  settings: Record<string, string>;
  compressResponse: boolean;
}

// Parameters of the interface that are not settings of the query.
const NOT_SETTINGS = new Set([
  'query',
  'database',
  'default_format',
  'query_id',
  'user',
  'password',
  'quota_key',
  'role',
  'compress',
  'decompress',
  'enable_http_compression',
  'http_zlib_compression_level',
  'wait_end_of_query',
  'buffer_size',
  'stacktrace',
  'session_timeout',
  'session_check',
]);

/** Reads a request. Throws a ServerException for what the embedded engine can't do. */
export async function readRequest(request: IncomingMessage): Promise<QueryRequest> {
  const query = targetOf(request).query;
  for (const name of ['session_id', 'compress', 'decompress']) {
    const value = query.get(name);
    if (value !== null && value !== '0' && value !== '') {
      throw exception(48, `The embedded engine does not know ${name}.`);
    }
  }
  const params: Record<string, string> = {};
  const settings: Record<string, string> = {};
  const take = (name: string, value: string): void => {
    if (name.startsWith('param_')) params[name.slice('param_'.length)] = value;
    else if (!NOT_SETTINGS.has(name)) settings[name] = value;
  };
  for (const [name, value] of query) take(name, value);

  const body = await readBody(request);
  const inAddress = query.get('query') ?? '';
  let sql = inAddress;
  let data: Buffer | undefined;
  if (request.headers['content-type']?.startsWith('multipart/form-data') === true) {
    const form = await readForm(body, request.headers['content-type']);
    for (const [name, value] of form) {
      if (typeof value !== 'string') throw exception(48, 'The embedded engine does not know external tables.');
      if (name === 'query') sql += value;
      else take(name, value);
    }
  } else if (inAddress !== '' && /^\s*INSERT\s/i.test(stripComments(inAddress))) data = body;
  else sql = inAddress === '' ? body.toString('utf8') : `${inAddress}\n${body.toString('utf8')}`;
  if (sql.trim() === '') throw exception(62, 'Syntax error: empty query.');
  const defaultFormat = header(request, 'x-clickhouse-format') ?? query.get('default_format') ?? undefined;
  const queryId = query.get('query_id') ?? header(request, 'x-clickhouse-query-id');
  // Both come back in a header of the answer, which takes neither a line's end nor a character above Latin-1.
  if (defaultFormat !== undefined && !/^\w*$/.test(defaultFormat)) {
    throw exception(73, 'The name of a format is letters, digits and _.');
  }
  if (queryId !== undefined && !/^[\x20-\x7e]*$/.test(queryId)) {
    throw exception(36, 'A query_id is printable ASCII.');
  }

  return {
    sql,
    data,
    params,
    settings,
    database: query.get('database') ?? header(request, 'x-clickhouse-database'),
    defaultFormat,
    queryId,
    compressResponse:
      query.get('enable_http_compression') === '1' && /\bgzip\b/.test(header(request, 'accept-encoding') ?? ''),
  };
}

async function readForm(body: Buffer, contentType: string): Promise<FormData> {
  try {
    return await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData();
  } catch {
    throw exception(36, 'The body is not the multipart/form-data that its Content-Type says.');
  }
}

/** Checks user and password: Basic, ClickHouse's own headers, or in the address. */
export function isAuthentic(request: IncomingMessage, expected: { user: string; password: string }): boolean {
  const query = targetOf(request).query;
  let user = header(request, 'x-clickhouse-user') ?? query.get('user');
  let password = header(request, 'x-clickhouse-key') ?? query.get('password');
  const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (basic !== undefined) {
    const text = Buffer.from(basic, 'base64').toString('utf8');
    user = text.slice(0, text.indexOf(':'));
    password = text.slice(text.indexOf(':') + 1);
  }
  return isSame(user ?? '', expected.user) && isSame(password ?? '', expected.password);
}

/** SQL without the comments and blanks that it begins with: what kind of statement it is stands there. */
export function stripComments(sql: string): string {
  let rest = sql.trimStart();
  for (;;) {
    const comment = /^(--[^\n]*(\n|$)|#[ !][^\n]*(\n|$)|\/\*[\s\S]*?\*\/)/.exec(rest);
    if (comment === null) return rest;
    rest = rest.slice(comment[0].length).trimStart();
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of decoded(request)) {
      size += (chunk as Buffer).length;
      if (size > BODY_LIMIT_BYTES) {
        throw exception(396, `The body is larger than ${BODY_LIMIT_BYTES} bytes. Insert in smaller batches.`);
      }
      chunks.push(chunk as Buffer);
    }
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    if (typeof code === 'string' && code.startsWith('Z_'))
      throw exception(354, `The body is not what its encoding says: ${message}.`);
    throw error;
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size);
}

const DECODERS = new Map<string, () => Duplex>([
  ['gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
]);

function decoded(request: IncomingMessage): Readable {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return request;
  const create = DECODERS.get(encoding);
  if (create === undefined) throw exception(48, `The embedded engine does not know the encoding ${encoding}.`);
  const decoder = create();
  // An error of either side ends the other; the reader hears of it from the decoder.
  return pipeline(request, decoder, () => undefined);
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
