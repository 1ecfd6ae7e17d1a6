import { afterAll, beforeAll, expect, it } from 'vitest';
import { createApp } from '../../src/api/index.ts';
import type { HealthFinding } from '../../src/health/index.ts';
import { createApiWorld, type ApiWorld } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(async () => await world?.close());

const finding = (severity: HealthFinding['severity']): HealthFinding => ({
  code: 'scheduler_silent',
  severity,
  message: 'The scheduler has not done its work for 75 s.',
  remedy: 'Start a worker.',
  detail: 'process 4711, a forgotten console',
});

it.each([
  ['ok', 200, []],
  ['ok', 200, [finding('notice')]],
  ['degraded', 200, [finding('degraded')]],
  ['unavailable', 503, [finding('degraded'), finding('stopped')]],
] as const)('readiness is %s, as %i, and says why', async (status, http, found) => {
  const response = await createApp({ ...world.deps, checkWork: async () => await Promise.resolve(found) }).request(
    '/readyz',
  );
  expect(response.status).toBe(http);
  const body = (await response.json()) as { status: string; reasons: unknown[] };
  expect(body.status).toBe(status);
  expect(body.reasons).toEqual(
    found.map(({ code, severity, message, remedy }) => ({ code, severity, message, remedy })),
  );
  // Which process it is, is for operators.
  expect(JSON.stringify(body)).not.toContain('4711');
});
