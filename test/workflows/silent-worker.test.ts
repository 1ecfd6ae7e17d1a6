import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkWork } from '../../src/health/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { createNamespace, startProgram, type Program } from '../helpers/program.ts';
import { eventually, SECRET } from '../helpers/world.ts';

const NAMESPACE = `silent-${process.pid}`;
// Much longer than the tick of a second, on a machine that does other things too.
const AFTER_SECONDS = 10;

let stores: TestStores;
let connection: Connection;
let temporal: Client;
let worker: Program | undefined;

beforeAll(async () => {
  stores = await createTestStores();
  await createNamespace(stores.temporalAddress, NAMESPACE);
  connection = await Connection.connect({ address: stores.temporalAddress });
  temporal = new Client({ connection, namespace: NAMESPACE });
});

afterAll(async () => {
  if (worker !== undefined && worker.process.exitCode === null) {
    worker.process.kill('SIGCONT');
    await worker.kill();
  }
  await connection?.close();
  await stores?.close();
});

const codes = async (): Promise<string[]> =>
  (await checkWork({ pool: stores.pool, temporal, afterSeconds: AFTER_SECONDS })).map(({ code }) => code);

test('a worker that is not there, stands still, and goes on is seen by the work', async () => {
  // One for each kind of work.
  expect((await codes()).filter((code) => code === 'no_worker')).toHaveLength(4);

  worker = await startProgram(['worker'], {
    DATABASE_URL: stores.databaseUrl,
    CLICKHOUSE_URL: stores.clickhouseUrl,
    TEMPORAL_ADDRESS: stores.temporalAddress,
    TEMPORAL_NAMESPACE: NAMESPACE,
    TRAILMARK_SECRET: SECRET,
    TRAILMARK_SCHEDULER_SECONDS: '1',
  });
  await worker.says('worker ready', 120_000);
  const isWell = async (): Promise<true | null> => {
    const found = await codes();
    return found.includes('scheduler_silent') || found.includes('no_worker') ? null : true;
  };
  await eventually(isWell, { what: 'work that goes on', timeoutMs: 60_000 });

  // Its sockets stay open, and every port of the system answers.
  worker.process.kill('SIGSTOP');
  await eventually(async () => ((await codes()).includes('scheduler_silent') ? true : null), {
    what: 'that the worker stands still is seen',
    timeoutMs: 75_000,
  });
  worker.process.kill('SIGCONT');
  await eventually(isWell, { what: 'work that goes on again', timeoutMs: 60_000 });
}, 400_000);
