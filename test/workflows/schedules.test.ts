import { Client, Connection, ScheduleOverlapPolicy } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureSchedules, inspectSchedules, restoreSchedules, taskQueues } from '../../src/tasks/index.ts';
import { addressOf } from '../helpers/engines.ts';

const queue = `schedules-${randomUUID()}`;
const options = { everySeconds: 3_600, queues: taskQueues(queue) };
const scheduleId = `${queue}-scheduler`;
let connection: Connection;
let temporal: Client;

beforeAll(async () => {
  connection = await Connection.connect({ address: await addressOf('temporal') });
  temporal = new Client({ connection });
  await ensureSchedules(temporal, options);
});

afterAll(async () => {
  for (const name of ['scheduler', 'reconciler', 'clean-up']) {
    await temporal.schedule.getHandle(`${queue}-${name}`).delete();
  }
  await connection.close();
});

test('schedules that are as they have to be are left alone', async () => {
  expect(await inspectSchedules(temporal, options)).toEqual([]);
  expect(await restoreSchedules(temporal, options)).toEqual([]);
});

const handle = () => temporal.schedule.getHandle(scheduleId);

test.each<[string, () => Promise<unknown>, string]>([
  ['paused', async () => await handle().pause('by somebody'), 'paused'],
  ['deleted', async () => await handle().delete(), 'missing'],
  [
    'made slower',
    async () => await handle().update((was) => ({ ...was, spec: { intervals: [{ every: '30 days' }] } })),
    'another time',
  ],
  [
    'moved',
    async () =>
      await handle().update((was) => ({ ...was, spec: { intervals: [{ every: 3_600_000, offset: 60_000 }] } })),
    'another time',
  ],
  [
    'ended',
    async () => await handle().update((was) => ({ ...was, spec: { ...was.spec, endAt: new Date(1_000_000_000_000) } })),
    'other bounds of its time',
  ],
  [
    'left with one action',
    async () => await handle().update((was) => ({ ...was, state: { ...was.state, remainingActions: 1 } })),
    'a number of actions left',
  ],
  [
    'made to start another workflow',
    async () => await handle().update((was) => ({ ...was, action: { ...was.action, workflowType: 'cleanUp' } })),
    'another workflow',
  ],
  [
    'sent to a queue that nobody polls',
    async () => await handle().update((was) => ({ ...was, action: { ...was.action, taskQueue: 'nowhere' } })),
    'another task queue',
  ],
  [
    'given arguments',
    async () => await handle().update((was) => ({ ...was, action: { ...was.action, args: ['x'] } })),
    'other arguments',
  ],
  [
    'made to pile up',
    async () =>
      await handle().update((was) => ({
        ...was,
        policies: { ...was.policies, overlap: ScheduleOverlapPolicy.ALLOW_ALL },
      })),
    'another policy of overlaps',
  ],
])('a schedule that was %s is found, put right, and told', async (_name, change, found) => {
  await change();
  expect(await inspectSchedules(temporal, options)).toEqual([{ scheduleId, found: [found] }]);
  expect(await restoreSchedules(temporal, options)).toEqual([{ scheduleId, found: [found] }]);
  expect(await inspectSchedules(temporal, options)).toEqual([]);
});
