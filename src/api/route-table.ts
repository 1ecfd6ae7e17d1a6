import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler, NotFoundHandler } from 'hono';
import { TrieRouter } from 'hono/router/trie-router';
import { RequestError } from '../errors.ts';
import type { ApiEnv } from './deps.ts';
import type { OpenApiDocument } from './openapi.ts';

interface KnownRoute {
  method: string;
  /** Whether it answers without credentials. */
  open: boolean;
}

/** What the document says of a request: the parameters of its query string, and whether it has a JSON body. */
interface Operation {
  parameters: ReadonlySet<string>;
  body: 'none' | 'optional' | 'required';
}

/**
 * What the application's routes are, told from the application itself, so that no route can be forgotten: which methods a path takes, and and what a
 * request may have.
 */
export class RouteTable {
  readonly #app: OpenAPIHono<ApiEnv>;
  readonly #document: () => OpenApiDocument;
  #openRoutes = 0;
  // Made with the first request: by then every route is registered, and none comes after.
  #routes: TrieRouter<KnownRoute> | undefined;
  #operations: TrieRouter<Operation> | undefined;

  constructor(app: OpenAPIHono<ApiEnv>, document: () => OpenApiDocument) {
    this.#app = app;
    this.#document = document;
  }

  /** Whatever is registered after this is behind authentication. */
  closeOpenRoutes(): void {
    this.#openRoutes = this.#app.routes.length;
  }

  /** The methods of a path, those of the routes that answer without credentials marked; none where there is no such path. */
  routesAt(path: string): KnownRoute[] {
    this.#routes ??= this.#readRoutes();
    return this.#routes.match('ALL', path)[0].map(([route]) => route);
  }

  /** What the document says of a request; null for what is not in it. */
  operationOf(method: string, path: string): Operation | null {
    this.#operations ??= this.#readOperations();
    const [first] = this.#operations.match(method === 'HEAD' ? 'GET' : method, path)[0];
    return first?.[0] ?? null;
  }

  #readRoutes(): TrieRouter<KnownRoute> {
    const router = new TrieRouter<KnownRoute>();
    for (const [index, { method, path }] of this.#app.routes.entries()) {
      // Middleware is registered for all methods, and is no route.
      if (method === 'ALL') continue;
      const open = index < this.#openRoutes;
      router.add('ALL', path, { method, open });
      if (method === 'GET') router.add('ALL', path, { method: 'HEAD', open });
    }
    return router;
  }

  #readOperations(): TrieRouter<Operation> {
    const router = new TrieRouter<Operation>();
    for (const [path, item] of Object.entries(this.#document().paths ?? {})) {
      for (const [method, operation] of Object.entries(item as Record<string, DocumentedOperation>)) {
        const names = (operation.parameters ?? []).flatMap((parameter) =>
          parameter.in === 'query' ? [parameter.name] : [],
        );
        const body =
          operation.requestBody === undefined ? 'none' : operation.requestBody.required ? 'required' : 'optional';
        router.add(method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1'), { parameters: new Set(names), body });
      }
    }
    return router;
  }
}

interface DocumentedOperation {
  parameters?: { name: string; in: string }[];
  requestBody?: { required?: boolean };
}

/**
 * Answers OPTIONS with the methods of a path, and 405 where an open path does not take the method. What is behind authentication says so
 * only to who has passed it: `refuseUnknownRoute` does.
 */
export function knownMethods(table: RouteTable): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const routes = table.routesAt(c.req.path);
    const methods = new Set(routes.map(({ method }) => method));
    if (routes.length === 0 || methods.has(c.req.method)) return await next();
    if (c.req.method === 'OPTIONS') return c.body(null, 204, { allow: allowOf(methods) });
    if (!routes.some(({ open }) => open)) return await next();
    c.header('Allow', allowOf(methods));
    throw methodNotAllowed(c.req.method, methods);
  };
}

/**
 * Refuses what the document does not say a request may have: a parameter of another name, which would be ignored and look as if it had been
 * heeded, a body of another type, and no body where there has to be one.
 */
export function asDocumented(table: RouteTable): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const operation = table.operationOf(c.req.method, c.req.path);
    if (operation !== null) {
      requireKnownParameters(operation, new URL(c.req.url).searchParams);
      if (operation.body !== 'none') requireJson(operation, c);
    }
    await next();
  };
}

function requireKnownParameters({ parameters }: Operation, given: URLSearchParams): void {
  for (const name of given.keys()) {
    if (parameters.has(name)) continue;
    const names = [...parameters].join(', ');
    throw new RequestError(
      'invalid',
      'unknown_parameter',
      `There is no parameter of this name here. ${names === '' ? 'This route takes none.' : `This route takes ${names}.`}`,
      { field: name.slice(0, 100) },
    );
  }
}

function requireJson({ body }: Operation, c: Context<ApiEnv>): void {
  if (!hasBody(c)) {
    if (body === 'optional') return;
    throw bodyMissing();
  }
  const [type = ''] = (c.req.header('content-type') ?? '').split(';', 1);
  if (/^\s*application\/(?:[\w.-]+\+)?json\s*$/i.test(type)) return;
  throw new RequestError(
    'unsupported_media_type',
    'unsupported_media_type',
    'The body must be JSON: send Content-Type: application/json.',
    { field: 'Content-Type' },
  );
}

/** The refusal of a request that has to have a body, and has none. */
export function bodyMissing(): RequestError {
  return new RequestError('invalid', 'body_missing', 'This route needs a body: a JSON object.');
}

function hasBody(c: Context<ApiEnv>): boolean {
  if (c.req.raw.body === null) return false;
  const length = c.req.header('content-length');
  if (length !== undefined) return length !== '0';
  // On a socket a body says how it ends; in this process it may be a stream that does not.
  const onSocket = (c.env as { incoming?: unknown } | undefined)?.incoming !== undefined;
  return !onSocket || c.req.header('transfer-encoding') !== undefined;
}

/** What is answered where no route was found: 405 with the methods of the path, or 404. */
export function refuseUnknownRoute(table: RouteTable): NotFoundHandler<ApiEnv> {
  return (c) => {
    const methods = new Set(table.routesAt(c.req.path).map(({ method }) => method));
    if (methods.size > 0) {
      c.header('Allow', allowOf(methods));
      throw methodNotAllowed(c.req.method, methods);
    }
    throw new RequestError(
      'not_found',
      'route_not_found',
      `There is no ${c.req.method} ${c.req.path}. /docs has every route.`,
    );
  };
}

function allowOf(methods: ReadonlySet<string>): string {
  return [...methods, 'OPTIONS'].toSorted((one, other) => one.localeCompare(other)).join(', ');
}

function methodNotAllowed(method: string, methods: ReadonlySet<string>): RequestError {
  return new RequestError(
    'method_not_allowed',
    'method_not_allowed',
    `This path does not take ${method}; it takes ${allowOf(methods)}.`,
  );
}
