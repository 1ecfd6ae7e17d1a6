/**
 * Stores histories of workflows that ended, from a server that has some (a running `npm start`, say):
 *   npx tsx test/replay/record.ts ADDRESS [NAMESPACE]
 * Of each kind one: a run, a sync at the first attempt, one that recovered, one that failed hard, a beat, a clean-up, a delivered alert.
 */
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { writeFile } from 'node:fs/promises';

const WANTED = [
  {
    name: 'executeTask.run',
    query: `WorkflowType = 'executeTask'`,
    has: ['"compute"', '"succeeded"'],
    hasNot: ['recordFailure'],
  },
  {
    name: 'executeTask.sync',
    query: `WorkflowType = 'executeTask'`,
    has: ['"deliver"', '"succeeded"'],
    hasNot: ['recordFailure'],
  },
  {
    name: 'executeTask.recovered',
    query: `WorkflowType = 'executeTask'`,
    has: ['"deliver"', '"succeeded"', 'recordFailure'],
    hasNot: [],
  },
  {
    name: 'executeTask.hard-failure',
    query: `WorkflowType = 'executeTask'`,
    has: ['recordFailure', '"failed"'],
    hasNot: ['"succeeded"'],
  },
  { name: 'cleanUp.nothing-old', query: `WorkflowType = 'cleanUp'`, has: [], hasNot: [] },
  { name: 'scheduleTasks.beat', query: `WorkflowType = 'scheduleTasks'`, has: [], hasNot: [] },
  { name: 'deliverAlert.delivered', query: `WorkflowType = 'deliverAlert'`, has: ['delivered'], hasNot: [] },
];

const [address = '127.0.0.1:7233', namespace = 'default'] = process.argv.slice(2);
const connection = await Connection.connect({ address });
const client = new Client({ connection, namespace });
for (const { name, query, has, hasNot } of WANTED) {
  let stored = false;
  for await (const { workflowId, runId } of client.workflow.list({
    query: `${query} AND ExecutionStatus = 'Completed'`,
  })) {
    const json = historyToJSON(await client.workflow.getHandle(workflowId, runId).fetchHistory());
    const readable = json.replaceAll(/"data": "([A-Za-z0-9+/=]+)"/g, (_, data: string) =>
      Buffer.from(data, 'base64').toString(),
    );
    if (!has.every((part) => readable.includes(part)) || hasNot.some((part) => readable.includes(part))) continue;
    await writeFile(new URL(`histories/${name}.json`, import.meta.url), `${withoutMachine(json)}\n`);
    stored = true;
    break;
  }
  console.log(`${stored ? 'stored' : 'none there'}: ${name}`);
}
await connection.close();

/** Nothing of the machine that recorded it: neither who ran what, nor where its files are. Replaying looks at neither. */
function withoutMachine(json: string): string {
  return json
    .replaceAll(/"identity": "\d+@[^"]*"/g, '"identity": "recorder"')
    .replaceAll(/"stackTrace": "(?:[^"\\]|\\.)*"/g, '"stackTrace": ""')
    .replaceAll(/"binaryChecksum": "[^"]*"/g, '"binaryChecksum": ""');
}
