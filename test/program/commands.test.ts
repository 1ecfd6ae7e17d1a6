import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPipelineWorld, type PipelineWorld } from '../db/pipeline-world.ts';
import { freePorts } from '../helpers/ports.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { startProgram } from '../helpers/program.ts';

// Command lines, as someone who operates Trailmark types them. Each is a process of its own, so they run beside each other.

let stores: TestStores;
let world: PipelineWorld;
beforeAll(async () => {
  stores = await createTestStores();
  world = await createPipelineWorld(stores.pool);
});
afterAll(async () => await stores?.close());

const env = () => ({
  DATABASE_URL: stores.databaseUrl,
  CLICKHOUSE_URL: stores.clickhouseUrl,
  TEMPORAL_ADDRESS: stores.temporalAddress,
  TRAILMARK_SECRET: 'a secret that is long enough for tests',
});

async function run(...args: string[]): Promise<{ code: number | null; said: string }> {
  const program = await startProgram(args, env());
  await once(program.process, 'close');
  return { code: program.process.exitCode, said: program.output() };
}

test('restore and quarantine say what there is, do it when they are told to, and then have nothing more to do', async () => {
  await stores.pool.query(
    `insert into event_quarantine (source_id, message_id, workspace_id, type, event, code, reason, received_at)
     values ($1, 'poison', $2, 'track', '{"type":"track","event":"A","userId":"u","messageId":"poison"}', 'event_invalid',
             'it has no time', now())`,
    [world.sourceId, world.workspaceId],
  );
  await stores.pool.query('insert into log_restores default values');
  const api = await startProgram(['api'], { ...env(), TRAILMARK_PORT: String(await freePorts(1)) });
  const [plan, list, none, unknown] = await Promise.all([
    run('restore'),
    run('quarantine', 'list'),
    run('quarantine', 'list', '--source', 'src_other'),
    run('quarantine', 'redrive', '--workspace', 'nobody'),
    api.says('trailmark restore says what to do, trailmark restore --apply does it'),
  ]);
  expect(await api.terminate()).toBe(0);
  expect(plan).toMatchObject({
    code: 0,
    said: expect.stringContaining('Nothing was changed. trailmark restore --apply does it.') as string,
  });
  expect(plan.said).toContain('0 events are in the log, 0 of them behind the offset.');
  expect(list.code).toBe(0);
  expect(list.said).toMatch(new RegExp(`^\\S+Z  ${world.sourceId}  poison  event_invalid  it has no time\n$`));
  expect(none).toEqual({ code: 0, said: 'No event is put aside.\n' });
  expect(unknown).toEqual({ code: 1, said: 'trailmark: There is no workspace nobody.\n' });
  expect((await stores.pool.query('select from log_restores')).rowCount).toBe(1);

  const [applied, redriven] = await Promise.all([run('restore', '--apply'), run('quarantine', 'redrive')]);
  expect(applied).toMatchObject({ code: 0, said: expect.stringContaining('Done. Loading goes on') as string });
  expect(redriven).toMatchObject({ code: 0, said: expect.stringMatching(/^1 event is in the log again\./) as string });
  expect((await stores.pool.query('select from event_log where message_id = $1', ['poison'])).rowCount).toBe(1);

  const [again, empty] = await Promise.all([run('restore'), run('quarantine', 'list')]);
  expect(again).toMatchObject({ code: 0, said: expect.stringContaining('Nothing has to be put right.') as string });
  expect(empty.said).toBe('No event is put aside.\n');
}, 120_000);
