import { pino } from 'pino';
import { createAccessToken, createSpace, createWorkspace, type Plan, type Role } from '../../src/access/index.ts';
import { createApp, type ApiDeps } from '../../src/api/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { createOutgoingAgent } from '../../src/security/index.ts';
import { inTransaction, type PostgresPool } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { destinationDeps, secretBox } from '../helpers/world.ts';
import { DocumentCheck } from './document-check.ts';

export const PUBLIC_URL = 'https://trailmark.example.com';

/** A workspace with a space and a token of each role. */
export interface Tenant {
  workspaceId: string;
  spaceId: string;
  owner: string;
  member: string;
  support: string;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** The body where it is JSON. */
  body: {
    data: Record<string, never> & Record<string, unknown>;
    errors: { type: string; message: string; field?: string; data?: Record<string, unknown> }[];
  };
}

interface RequestOptions {
  token?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface ApiWorld {
  pool: PostgresPool;
  deps: ApiDeps;
  app: ReturnType<typeof createApp>;
  /** The tasks that the API asked to be started, in order. */
  started: string[];
  /** The tasks whose workflows the API told to look, in order. */
  woken: string[];
  /** What the API logged, one JSON line each. */
  logged: string[];
  ours: Tenant;
  /** Another workspace, whose tokens must get nowhere in ours. */
  stranger: Tenant;
  /** Sends a request, and holds the answer against the document. */
  send(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  close(): Promise<void>;
}

/** The API on stores of its own, or on those of a test that has a worker on them too. */
export async function createApiWorld(overrides: Partial<ApiDeps> = {}, given?: TestStores): Promise<ApiWorld> {
  const stores = given ?? (await createTestStores());
  const started: string[] = [];
  const woken: string[] = [];
  const logged: string[] = [];
  const deps: ApiDeps = {
    pool: stores.pool,
    clickhouse: stores.clickhouse,
    secretBox,
    destinations: destinationDeps,
    dispatcher: createOutgoingAgent({ allowPrivateAddresses: true }),
    logger: pino({ level: 'debug' }, { write: (line: string) => logged.push(line) }),
    startTask: async (taskId) => {
      started.push(taskId);
      await Promise.resolve();
    },
    wakeTask: async (taskId) => {
      woken.push(taskId);
      await Promise.resolve();
    },
    publicUrl: PUBLIC_URL,
    rateLimit: { perSecond: 10_000, burst: 10_000 },
    ...overrides,
  };
  const app = createApp(deps);
  const document = new DocumentCheck((await (await app.request('/openapi.json')).json()) as object);
  return {
    pool: stores.pool,
    deps,
    app,
    started,
    woken,
    logged,
    ours: await createTenant(stores.pool, 'ours', 'business'),
    stranger: await createTenant(stores.pool, 'stranger', 'business'),
    async send(method, path, options = {}) {
      const response = await app.request(path, {
        method,
        headers: {
          ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
          ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...options.headers,
        },
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      });
      const body = (await response.json()) as Answer['body'];
      document.check(method, path.split('?')[0] ?? path, response.status, body);
      return { status: response.status, headers: response.headers, body };
    },
    close: async () => await stores.close(),
  };
}

export async function createTenant(pool: PostgresPool, slug: string, plan: Plan): Promise<Tenant> {
  return await inTransaction(pool, async (tx) => {
    const workspace = await createWorkspace(tx, { slug, name: `The ${slug}`, plan, actor: SYSTEM_ACTOR });
    const space = await createSpace(tx, { workspaceId: workspace.id, slug: 'main', name: 'Main', actor: SYSTEM_ACTOR });
    const token = async (role: Role): Promise<string> => {
      const made = await createAccessToken(tx, { workspaceId: workspace.id, name: role, role, actor: SYSTEM_ACTOR });
      return made.token;
    };
    return {
      workspaceId: workspace.id,
      spaceId: space.id,
      owner: await token('workspace_owner'),
      member: await token('workspace_member'),
      support: await token('support'),
    };
  });
}

/** The body of an audience that is right. */
export function audienceBody(change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: 'Big spenders',
    definition: { type: 'USERS', query: "event('Order Completed').count() >= 2" },
    schedule: { intervalSeconds: 3600 },
    ...change,
  };
}
