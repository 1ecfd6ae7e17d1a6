import { gzipSync } from 'node:zlib';
import { NASTY_BYTES, NASTY_JSON, NASTY_TEXTS } from './nasty.ts';

/** A request of a hostile client: right but for one place. */
export interface HostileRequest {
  /** Such as `GET /tasks/{taskId}`. */
  route: string;
  /** What is nasty about it, and where. */
  what: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: Uint8Array<ArrayBuffer>;
  /** Whether what is nasty can't be kept, so that the request has to be refused. */
  unstorable: boolean;
}

/** One route of the OpenAPI document with what makes a right request to it. */
export interface Target {
  method: string;
  /** With its parameters in braces. */
  path: string;
  params: Record<string, string>;
  query: readonly string[];
  body: unknown;
  headers: Record<string, string>;
}

interface Operation {
  parameters?: { name: string; in: string }[];
  requestBody?: unknown;
}

/** The routes of an OpenAPI document. `describe` says what a right request to one needs. */
export function targetsOf(
  document: { paths: Record<string, Record<string, Operation>> },
  describe: (method: string, path: string) => Pick<Target, 'params' | 'body' | 'headers'>,
): Target[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { parameters = [] }]) => ({
      method: method.toUpperCase(),
      path,
      query: parameters.filter((one) => one.in === 'query').map(({ name }) => name),
      ...describe(method.toUpperCase(), path),
    })),
  );
}

// Of each place all that can't be kept are tried, and of the others so many, in turn: together they meet every place of every kind.
const OTHERS_A_PLACE = 3;
// Node takes 16 KiB of headers, the address among them.
const MAX_ADDRESS = 4_000;

/** Everything that a hostile client tries on the targets. */
export function* hostileRequests(targets: readonly Target[]): Generator<HostileRequest> {
  const pick = inTurn();
  for (const target of targets) {
    yield* hostileAddresses(target, pick);
    // What deletes or revokes does it whatever else is said.
    if (target.method !== 'DELETE') yield* hostileQueries(target, pick);
    if (target.body !== undefined) yield* hostileBodies(target, pick);
    if (target.method === 'GET') yield* hostileHeaders(target);
  }
}

type TakeTexts = (fits: (text: string) => boolean) => { what: string; text: string; unstorable: boolean }[];

function inTurn(): TakeTexts {
  let turn = 0;
  return (fits) => {
    const fitting = NASTY_TEXTS.filter(({ text }) => fits(text));
    const bad = fitting.filter(({ storable, text }) => !storable && text.length < 100);
    const others = fitting.filter(({ storable }) => storable);
    const some = Array.from({ length: Math.min(OTHERS_A_PLACE, others.length) }, () => others[turn++ % others.length]);
    return [...bad, ...some].flatMap((one) =>
      one === undefined ? [] : [{ what: one.name, text: one.text, unstorable: !one.storable }],
    );
  };
}

const inAddress = (text: string): boolean =>
  text.isWellFormed() && text !== '' && encodeURIComponent(text).length < MAX_ADDRESS;

function* encodedOf(pick: TakeTexts): Generator<{ what: string; encoded: string; unstorable: boolean }> {
  for (const { what, text, unstorable } of pick(inAddress)) {
    yield { what, encoded: encodeURIComponent(text), unstorable };
  }
  for (const { name, bytes } of NASTY_BYTES.slice(0, 3)) {
    yield { what: name, encoded: `a${Buffer.from(bytes).toString('hex').replaceAll(/../g, '%$&')}`, unstorable: true };
  }
}

function* hostileAddresses(target: Target, pick: TakeTexts): Generator<HostileRequest> {
  for (const name of Object.keys(target.params)) {
    for (const { what, encoded, unstorable } of encodedOf(pick)) {
      yield request(target, { what: `${what} as ${name}`, unstorable, params: { [name]: encoded } });
    }
  }
}

function* hostileQueries(target: Target, pick: TakeTexts): Generator<HostileRequest> {
  for (const name of [...target.query, 'unknown']) {
    for (const { what, encoded, unstorable } of encodedOf(pick)) {
      yield request(target, {
        what: `${what} in ${name}`,
        unstorable,
        query: `?${encodeURIComponent(name)}=${encoded}`,
      });
    }
  }
  yield request(target, { what: 'NUL in a name', unstorable: true, query: '?a%00=b' });
  yield request(target, { what: 'a lone %', unstorable: false, query: '?a=%&b=%zz' });
}

function* hostileBodies(target: Target, pick: TakeTexts): Generator<HostileRequest> {
  const right = JSON.stringify(target.body);
  for (const place of placesOf(target.body, [])) {
    for (const { what, text, unstorable } of pick(() => true)) {
      const json = JSON.stringify(withValue(target.body, place, text));
      yield request(target, { what: `${what} in ${place.join('.')}`, unstorable, body: json });
    }
    for (const value of [1e308, -0, 2 ** 53, [], {}, true, null]) {
      const json = JSON.stringify(withValue(target.body, place, value));
      yield request(target, { what: `${JSON.stringify(value)} in ${place.join('.')}`, unstorable: false, body: json });
    }
    for (const { name, bytes } of NASTY_BYTES.slice(0, 3)) {
      const [before, after] = JSON.stringify(withValue(target.body, place, '#HERE#')).split('#HERE#');
      const body = Buffer.concat([Buffer.from(before ?? ''), bytes, Buffer.from(after ?? '')]);
      yield request(target, { what: `${name} in ${place.join('.')}`, unstorable: true, body });
    }
  }
  const { unstorable } = { unstorable: false };
  for (const { name, json } of NASTY_JSON) yield request(target, { what: name, unstorable, body: json });
  const headers = (more: Record<string, string>) => ({ ...target.headers, ...more });
  yield request(target, {
    what: 'gzip that is none',
    unstorable,
    body: right,
    headers: headers({ 'content-encoding': 'gzip' }),
  });
  yield request(target, {
    what: 'gzip of bytes',
    unstorable,
    body: gzipSync(Buffer.of(0x7b, 0xff, 0x7d)),
    headers: headers({ 'content-encoding': 'gzip' }),
  });
  yield request(target, { what: 'no media type', unstorable, body: right, headers: headers({ 'content-type': '' }) });
  yield request(target, {
    what: 'a form',
    unstorable,
    body: 'a=%00',
    headers: headers({ 'content-type': 'application/x-www-form-urlencoded' }),
  });
  yield request(target, {
    what: 'parts without a boundary',
    unstorable,
    body: right,
    headers: headers({ 'content-type': 'multipart/form-data' }),
  });
  yield request(target, {
    what: 'another charset',
    unstorable,
    body: Buffer.from(right, 'utf16le'),
    headers: headers({ 'content-type': 'application/json; charset=utf-16' }),
  });
}

function* hostileHeaders(target: Target): Generator<HostileRequest> {
  const tries: [string, Record<string, string>][] = [
    ['a token of bytes', { authorization: 'Bearer \u00ff\u0080' }],
    ['Basic of bytes', { authorization: `Basic ${Buffer.of(0xff, 0x00, 0x3a).toString('base64')}` }],
    ['Basic that is no base64', { authorization: 'Basic ===' }],
    ['a long token', { authorization: `Bearer ${'x'.repeat(8_000)}` }],
    ['NUL in the workspace cookie', { cookie: 'trailmark_session=a; trailmark_workspace=%00' }],
    ['bytes in the workspace cookie', { cookie: 'trailmark_session=a; trailmark_workspace=%ff' }],
    ['NUL in the session cookie', { cookie: 'trailmark_session=a%00' }],
    ['a request id with control characters', { 'x-request-id': '\u0085\u0090'.repeat(10) }],
    ['an Accept of all kinds', { accept: 'text/html;q=\u00ff, */*;q=1e400' }],
  ];
  for (const [what, headers] of tries) {
    yield request(target, { what, unstorable: false, headers: { ...target.headers, ...headers } });
  }
}

function request(
  target: Target,
  change: {
    what: string;
    unstorable: boolean;
    params?: Record<string, string>;
    query?: string;
    body?: string | Uint8Array;
    headers?: Record<string, string>;
  },
): HostileRequest {
  const params = { ...target.params, ...change.params };
  const path = target.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? 'none');
  const given = change.body ?? (target.body === undefined ? undefined : JSON.stringify(target.body));
  return {
    route: `${target.method} ${target.path}`,
    what: change.what,
    method: target.method,
    path: path + (change.query ?? ''),
    headers: {
      ...(given === undefined ? {} : { 'content-type': 'application/json' }),
      ...(change.headers ?? target.headers),
    },
    ...(given === undefined ? {} : { body: new Uint8Array(Buffer.from(given as string)) }),
    unstorable: change.unstorable,
  };
}

/** The places in a body that have a text. */
function placesOf(value: unknown, at: readonly string[]): string[][] {
  if (typeof value === 'string') return [[...at]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => placesOf(part, [...at, name]));
}

function withValue(body: unknown, [name, ...rest]: readonly string[], value: unknown): unknown {
  if (name === undefined) return value;
  const part = (body as Record<string, unknown>)[name];
  const changed = withValue(part, rest, value);
  return Array.isArray(body)
    ? body.map((one: unknown, index) => (String(index) === name ? changed : one))
    : { ...(body as object), [name]: changed };
}
