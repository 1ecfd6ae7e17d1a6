import { scheduleLag } from '../../computations/index.ts';
import { countCircuits } from '../../destinations/index.ts';
import { countQuarantined, loaderLag } from '../../pipeline/index.ts';
import { inTransaction, type PostgresPool, type Queryable } from '../../store/index.ts';
import { readBacklog, readUnrecorded } from '../../tasks/index.ts';
import type { GaugeDescription, Reading } from './readings.ts';

// Less than what a reading has in all, so that PostgreSQL gives up before its asker does.
const STATEMENT_TIMEOUT_MS = 2_500;

/**
 * What is waiting in PostgreSQL, one statement each. The api serves these, and no worker does: that nothing is executed shows here,
 * and must where every worker is dead. `pool` is one of their own, so that a scrape takes no connection from a request.
 */
export function createStoreReadings(pool: PostgresPool): Reading[] {
  return [
    reading(
      'schedule',
      {
        lag: {
          name: 'schedule_lag_seconds',
          description: 'For how long the oldest computation that is due has been without its run',
          unit: 's',
        },
        due: { name: 'schedule_due', description: 'Computations that are due and have no run yet' },
      },
      async (db) => {
        const { due, seconds } = await scheduleLag(db);
        return { lag: [{ value: seconds }], due: [{ value: due }] };
      },
    ),
    reading(
      'tasks',
      {
        open: { name: 'tasks_open', description: 'Tasks that have not ended, by status' },
        waiting: { name: 'tasks_waiting', description: 'Tasks whose turn has not come' },
        oldest: {
          name: 'tasks_waiting_oldest_seconds',
          description: 'The age of the oldest task whose turn has not come',
          unit: 's',
        },
      },
      async (db) => {
        const { open, waiting } = await readBacklog(db);
        return {
          open: open.map(({ kind, status, count }) => ({ value: count, labels: { kind, status } })),
          waiting: waiting.map(({ kind, count }) => ({ value: count, labels: { kind } })),
          oldest: waiting.map(({ kind, oldestSeconds }) => ({ value: oldestSeconds, labels: { kind } })),
        };
      },
    ),
    reading(
      'bookkeeping',
      {
        unrecorded: {
          name: 'tasks_unrecorded',
          description: 'Open tasks that do not go on, because PostgreSQL refuses what is to be written of them',
        },
        oldest: {
          name: 'tasks_unrecorded_oldest_seconds',
          description: 'For how long the first of them has not gone on',
          unit: 's',
        },
      },
      async (db) => {
        const { count, oldestSeconds } = await readUnrecorded(db);
        return { unrecorded: [{ value: count }], oldest: [{ value: oldestSeconds }] };
      },
    ),
    reading(
      'event_log',
      {
        rows: {
          name: 'event_log_lag_entries',
          description: 'Events that ClickHouse does not have yet, 100000 for more',
        },
        bytes: {
          name: 'event_log_lag_bytes',
          description: 'Their size in the log, of the oldest 100000',
          unit: 'By',
        },
        seconds: {
          name: 'event_log_lag_seconds',
          description: 'For how long the oldest of them has been in the log',
          unit: 's',
        },
      },
      async (db) => {
        const { rows, bytes, seconds } = await loaderLag(db);
        return { rows: [{ value: rows }], bytes: [{ value: bytes }], seconds: [{ value: seconds }] };
      },
    ),
    reading(
      'quarantine',
      {
        events: { name: 'event_quarantine_entries', description: 'Events that could not be loaded and are put aside' },
        oldest: {
          name: 'event_quarantine_oldest_seconds',
          description: 'For how long the first of them has been there',
          unit: 's',
        },
      },
      async (db) => {
        const { events, oldestSeconds } = await countQuarantined(db);
        return { events: [{ value: events }], oldest: [{ value: oldestSeconds }] };
      },
    ),
    reading(
      'circuits',
      { circuits: { name: 'destination_circuits', description: 'Destinations, by the state of their circuit' } },
      async (db) => ({
        circuits: (await countCircuits(db)).map(({ slug, state, count }) => ({
          value: count,
          labels: { destination: slug, state },
        })),
      }),
    ),
  ];

  function reading<Name extends string>(
    name: string,
    gauges: Record<Name, GaugeDescription>,
    read: (db: Queryable) => Promise<Awaited<ReturnType<Reading<Name>['read']>>>,
  ): Reading<Name> {
    return {
      name,
      gauges,
      read: async () =>
        await inTransaction(pool, async (tx) => {
          await tx.query(`set transaction read only; set local statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
          return await read(tx);
        }),
    };
  }
}
