import { Worker } from '@temporalio/worker';
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bundleWorkflows } from '../helpers/worker.ts';

const HISTORIES = new URL('histories/', import.meta.url);
const files = (await readdir(HISTORIES)).filter((name) => name.endsWith('.json')).sort();

// Recorded by test/replay/record.ts on a real server. A change that breaks one of them would break workflows under way.
describe('stored histories replay', () => {
  test('there is one of each workflow', () => {
    const types = new Set(files.map((file) => basename(file).split('.')[0]));
    expect(types).toEqual(new Set(['executeTask', 'scheduleTasks', 'reconcileTasks', 'cleanUp', 'deliverAlert']));
  });

  test.each(files)('%s', async (file) => {
    const history: unknown = JSON.parse(await readFile(new URL(file, HISTORIES), 'utf8'));
    await Worker.runReplayHistory({ workflowBundle: await bundleWorkflows() }, history, `replay/${file}`);
  });

  test('a history of another workflow does not', async () => {
    const text = await readFile(new URL(files.find((file) => file.startsWith('executeTask')) ?? '', HISTORIES), 'utf8');
    const broken: unknown = JSON.parse(text.replaceAll('"executeStep"', '"executeAnotherStep"'));
    await expect(
      Worker.runReplayHistory({ workflowBundle: await bundleWorkflows() }, broken, 'replay/broken'),
    ).rejects.toThrow(/nondeterminism/i);
  });
});
