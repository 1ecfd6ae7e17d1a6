/**
 * Stores histories of workflows as they are now: plays each scene on engines of its own and writes what Temporal kept of it.
 *   npx tsx test/replay/record.ts [SCENE …]
 * Do it where a workflow was changed on purpose, and look at what the change did to the histories.
 */
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { writeFile } from 'node:fs/promises';
import { startBenchEngines } from '../../bench/engines.ts';
import { startReceiver } from '../helpers/receiver.ts';
import { startTestWorker, bundleFrom } from '../helpers/worker.ts';
import { QUEUE, SCENES, type Stage } from './scenes.ts';

const wanted = process.argv.slice(2);
const names = wanted.length > 0 ? wanted : Object.keys(SCENES);
const engines = await startBenchEngines();
const receiver = await startReceiver();
const workflowBundle = await bundleFrom('../../workflows/index.ts');
const stage: Stage = {
  ...engines,
  receiver,
  worker: await startTestWorker({ ...engines, taskQueue: QUEUE, workflowBundle }),
};
try {
  for (const name of names) {
    const scene = SCENES[name];
    if (scene === undefined) throw new Error(`there is no scene ${name}, but ${Object.keys(SCENES).join(', ')}`);
    receiver.behave(() => undefined);
    const workflowId = await scene(stage);
    const history = await stage.worker.client.workflow.getHandle(workflowId).fetchHistory();
    const file = new URL(`histories/${name}.json`, import.meta.url);
    await writeFile(file, `${withoutMachine(historyToJSON(history))}\n`);
    console.log(`stored: ${name}`);
  }
} finally {
  await stage.worker.close();
  await receiver.close();
  await engines.stop();
}

/** Nothing of the machine that recorded it: neither who ran what, nor where its files are. Replaying looks at neither. */
function withoutMachine(json: string): string {
  return json
    .replaceAll(/"(identity|name)": "\d+@[^"]*"/g, '"$1": "recorder"')
    .replaceAll(/"stackTrace": "(?:[^"\\]|\\.)*"/g, '"stackTrace": ""')
    .replaceAll(/"binaryChecksum": "[^"]*"/g, '"binaryChecksum": ""');
}
