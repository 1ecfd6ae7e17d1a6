import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { sharedFor } from '../shared-for.ts';

const READY_TIMEOUT_MS = 2_000;
const SHARED_MS = 1_000;

const healthRoute = createRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'getHealth',
  tags: ['Health'],
  summary: 'Whether the process is up',
  responses: {
    200: {
      description: 'It is.',
      content: { 'application/json': { schema: z.object({ status: z.literal('ok') }) } },
    },
  },
});

const readySchema = z.object({
  status: z.enum(['ok', 'unavailable']),
  engines: z.object({ postgres: z.boolean(), clickhouse: z.boolean() }),
});

const readyRoute = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'getReadiness',
  tags: ['Health'],
  summary: 'Whether it can serve',
  description: 'Whether PostgreSQL and ClickHouse answer, each within two seconds. An answer is up to a second old.',
  responses: {
    200: { description: 'Both answer.', content: { 'application/json': { schema: readySchema } } },
    503: { description: 'One of them does not.', content: { 'application/json': { schema: readySchema } } },
  },
});

export function registerHealth(app: OpenAPIHono<ApiEnv>, { pool, clickhouse }: ApiDeps): void {
  app.openapi(healthRoute, (c) => c.json({ status: 'ok' as const }, 200));
  // Anyone may ask, as often as they like: the engines are asked once a second at most.
  const askEngines = sharedFor(SHARED_MS, async () => {
    const [postgres, events] = await Promise.all([
      answersInTime(async () => await pool.query('select 1')),
      answersInTime(async () => {
        const ping = await clickhouse.ping();
        if (!ping.success) throw ping.error;
      }),
    ]);
    return { postgres, clickhouse: events };
  });
  app.openapi(readyRoute, async (c) => {
    const engines = await askEngines();
    return engines.postgres && engines.clickhouse
      ? c.json({ status: 'ok' as const, engines }, 200)
      : c.json({ status: 'unavailable' as const, engines }, 503);
  });
}

async function answersInTime(ask: () => Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), READY_TIMEOUT_MS);
  });
  const answered = ask().then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([answered, late]);
  } finally {
    clearTimeout(timer);
  }
}
