import { HEALTH_CODES, type HealthFinding } from '../../health/index.ts';
import type { Reading } from './readings.ts';

/** What is wrong with the work, as a gauge for each thing that can be: 1 where it is, else 0. */
export function createHealthReading(checkWork: () => Promise<readonly HealthFinding[]>): Reading {
  return {
    name: 'health',
    gauges: { findings: { name: 'health_finding', description: '1 where doctor and /readyz tell of it now, else 0' } },
    read: async () => {
      const found = new Set((await checkWork()).map(({ code }) => code));
      return { findings: HEALTH_CODES.map((code) => ({ value: found.has(code) ? 1 : 0, labels: { code } })) };
    },
  };
}
