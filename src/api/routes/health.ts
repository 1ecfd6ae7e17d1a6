import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { sharedFor } from '../answers/shared-for.ts';

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
  status: z.enum(['ok', 'degraded', 'unavailable']),
  engines: z.object({ postgres: z.boolean(), clickhouse: z.boolean() }),
  reasons: z.array(
    z.object({
      code: z.string().openapi({ description: 'Stable: see "Whether it is well" in docs/operations.md.' }),
      severity: z.enum(['stopped', 'degraded', 'notice']),
      message: z.string(),
      remedy: z.string(),
    }),
  ),
});

const readyRoute = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'getReadiness',
  tags: ['Health'],
  summary: 'Whether it can serve, and whether the work goes on',
  description:
    'Whether PostgreSQL and ClickHouse answer, each within two seconds, and how the work goes. `degraded` takes everything in and loses nothing, but something behind it does not go on: it is 200, so that no balancer turns events away. An answer is up to a second old.',
  responses: {
    200: {
      description: 'Both answer, and what comes in will be worked off. `status` and `reasons` say whether it is now.',
      content: { 'application/json': { schema: readySchema } },
    },
    503: {
      description: 'An engine does not answer, or what would be taken in would get nowhere.',
      content: { 'application/json': { schema: readySchema } },
    },
  },
});

export function registerHealth(app: OpenAPIHono<ApiEnv>, { pool, clickhouse, checkWork }: ApiDeps): void {
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
  const lookAtWork = sharedFor(SHARED_MS, async () => (await checkWork?.()) ?? []);
  app.openapi(readyRoute, async (c) => {
    const [engines, found] = await Promise.all([askEngines(), lookAtWork()]);
    // Not the detail: who asks here may be anyone.
    const reasons = found.map(({ code, severity, message, remedy }) => ({ code, severity, message, remedy }));
    const isStopped = reasons.some(({ severity }) => severity === 'stopped');
    if (!engines.postgres || !engines.clickhouse || isStopped) {
      return c.json({ status: 'unavailable' as const, engines, reasons }, 503);
    }
    const isDegraded = reasons.some(({ severity }) => severity === 'degraded');
    return c.json({ status: isDegraded ? ('degraded' as const) : ('ok' as const), engines, reasons }, 200);
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
