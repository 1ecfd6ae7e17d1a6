import { describe, expect, it } from 'vitest';
import { computationStatus, computationStatusLabel } from '../../src/computations/index.ts';

type Inputs = Parameters<typeof computationStatus>[0];

const live: Inputs = {
  enabled: true,
  paused_at: null,
  definition_version: 3,
  live_version: 71,
  live_definition_version: 3,
  run_in_progress: false,
  run_awaits_approval: false,
  last_run_failed: false,
  destinations_awaited: 0,
};

describe('computationStatus', () => {
  const cases: [string, Partial<Inputs>, string, string][] = [
    ['live', {}, 'Live', 'Live'],
    ['switched off', { enabled: false }, 'Disabled', 'Disabled'],
    ['switched off after a failure', { enabled: false, last_run_failed: true }, 'Disabled', 'Disabled'],
    ['hard-failed', { last_run_failed: true }, 'Failed', 'Failed'],
    ['hard-failed, and tried anew', { last_run_failed: true, run_in_progress: true }, 'Failed', 'Failed'],
    ['new', { live_version: null, live_definition_version: null }, 'Backfilling', 'Preparing'],
    [
      'in its first run',
      { live_version: null, live_definition_version: null, run_in_progress: true },
      'Backfilling',
      'Backfilling',
    ],
    ['edited', { definition_version: 4 }, 'Backfilling', 'Preparing'],
    ['edited, and being computed', { definition_version: 4, run_in_progress: true }, 'Backfilling', 'Backfilling'],
    ['in a later run', { run_in_progress: true }, 'Computing', 'Computing'],
    [
      'in a later run, a destination behind',
      { run_in_progress: true, destinations_awaited: 1 },
      'Computing',
      'Computing',
    ],
    ['paused', { paused_at: new Date() }, 'Live', 'Paused'],
    ['paused in its first run', { paused_at: new Date(), live_version: null }, 'Backfilling', 'Paused'],
    ['paused, and disabled', { paused_at: new Date(), enabled: false }, 'Disabled', 'Disabled'],
    ['waiting for people', { run_in_progress: true, run_awaits_approval: true }, 'Computing', 'Awaiting Approval'],
    [
      'paused while it waits for people',
      { paused_at: new Date(), run_in_progress: true, run_awaits_approval: true },
      'Computing',
      'Paused',
    ],
    ['with a destination behind', { destinations_awaited: 2 }, 'Awaiting Destinations', 'Awaiting Destinations'],
  ];

  it.each(cases)('of a computation that is %s', (_name, change, status, label) => {
    expect(computationStatus({ ...live, ...change })).toBe(status);
    expect(computationStatusLabel({ ...live, ...change })).toBe(label);
  });
});
