import { selectRows } from '../../src/store/index.ts';
import type { Receiver, Taking } from './receivers.ts';
import { extractOf, tasksByExtract, type ExtractTask } from './extracts.ts';
import { result, type Evidence, type PromiseResult } from './evidence.ts';
import { idOf, type People } from './people.ts';
import { everyDestination, type Destination } from './world.ts';

interface ConnectionRow {
  computation_id: string;
  workspace_id: string;
  kind: 'audience' | 'computed_trait';
  key: string;
  space_id: string;
  live_version: number | null;
  destination_id: string;
  last_sync: string | null;
}

/** What each receiver has is the live membership: of an audience the members, of a trait every value. */
export async function checkReceivers(evidence: Evidence): Promise<PromiseResult> {
  const { rows } = await evidence.pool.query<ConnectionRow>(
    `select c.id as computation_id, c.workspace_id, c.kind, c.key, c.space_id, c.live_version, n.destination_id,
            (select t.status from tasks t where t.connection_id = n.id and t.status in ('succeeded', 'failed')
             order by t.created_at desc limit 1) as last_sync
     from connections n join computations c on c.id = n.computation_id
     where n.enabled and c.enabled and c.deleted_at is null order by n.id`,
  );
  const broken: string[] = [];
  let values = 0;
  for (const row of rows) {
    const workspace = evidence.world.workspaces.find(({ id }) => id === row.workspace_id);
    const destination = workspace?.destinations.find(({ id }) => id === row.destination_id);
    if (workspace === undefined || destination === undefined) continue;
    const where = `${row.key} at ${destination.receiver.name}`;
    if (row.last_sync !== 'succeeded') broken.push(`${where}: its last sync ${row.last_sync ?? 'never came'}`);
    const live = await liveValues(evidence, row);
    values += live.size;
    for (const type of destination.types) {
      const there = destination.receiver.state.get(`${row.computation_id} ${type}`) ?? new Map<string, unknown>();
      const differing = differences(live, withoutMerged(there, live, workspace.people));
      if (differing.length > 0) {
        broken.push(`${where}, ${type}: ${differing.length} differ: ${differing.slice(0, 5).join('; ')}`);
      }
    }
  }
  return result('a receiver has what is live', rows.length, broken, { values });
}

/**
 * What a receiver has, without what it was told of people who were merged into someone whom it may have: they are not told of any
 * more, and are taken out only once nobody of their name is live.
 */
function withoutMerged(
  there: ReadonlyMap<string, unknown>,
  live: ReadonlyMap<string, unknown>,
  people: People,
): Map<string, unknown> {
  return new Map(
    [...there].filter(([id]) => {
      const person = people.withId(id);
      return person === undefined || idOf(person) === id || !live.has(idOf(person));
    }),
  );
}

/** The value of each user (by anonymous id, where there is no other) in the version that is live; true for a member of an audience. */
export async function liveValues(
  { clickhouse }: Pick<Evidence, 'clickhouse'>,
  of: Pick<ConnectionRow, 'computation_id' | 'kind' | 'space_id' | 'live_version'>,
): Promise<Map<string, unknown>> {
  const live =
    of.kind === 'audience'
      ? `SELECT arrayJoin(bitmapToArray(members)) AS profile, 'true' AS value FROM audience_versions
         WHERE computation_id = {computation:String} AND version = {version:UInt64}`
      : `SELECT profile, value FROM trait_versions ARRAY JOIN profiles AS profile, values AS value
         WHERE computation_id = {computation:String} AND version = {version:UInt64}`;
  const rows = await selectRows<{ userId: string; value: string }>(
    clickhouse,
    `SELECT if(ids.user_id = '', ids.anonymous_id, ids.user_id) AS userId, live.value AS value FROM (${live}) AS live
     INNER JOIN (
       SELECT profile, argMax(user_id, version) AS user_id, argMax(anonymous_id, version) AS anonymous_id
       FROM profiles WHERE space_id = {space:String} GROUP BY profile
     ) AS ids ON ids.profile = live.profile`,
    { computation: of.computation_id, version: of.live_version ?? 0, space: of.space_id },
  );
  return new Map(rows.map(({ userId, value }) => [userId, JSON.parse(value) as unknown]));
}

export function differences(expected: ReadonlyMap<string, unknown>, found: ReadonlyMap<string, unknown>): string[] {
  const users = new Set([...expected.keys(), ...found.keys()]);
  return [...users]
    .filter((user) => JSON.stringify(expected.get(user)) !== JSON.stringify(found.get(user)))
    .sort()
    .map((user) => `${user} is ${JSON.stringify(expected.get(user))} and has ${JSON.stringify(found.get(user))}`);
}

/** A message that was taken twice though nothing was wrong with the first time. */
interface Repetition {
  extract: string;
  first: Taking;
  second: Taking;
}

/**
 * What was delivered twice has the same message id and says the same; and where the receiver is not to blame for it, it is at most
 * the batch that was in flight, for each time that something was killed.
 */
export async function checkDeliveries(evidence: Evidence): Promise<PromiseResult[]> {
  const tasks = await tasksByExtract(evidence.pool);
  const interruptions = await readInterruptions(evidence, tasks);
  const changed: string[] = [];
  const again: string[] = [];
  const beyond: string[] = [];
  const counts = { taken: 0, twice: 0, byReceiver: 0, byKill: 0, byInterruption: 0, killsThatRepeated: 0 };
  const rejected = await readRejected(evidence, tasks);
  for (const destination of evidence.world.workspaces.flatMap(everyDestination)) {
    const { receiver, batchSize } = destination;
    counts.taken += receiver.takings.length;
    const repetitions = repetitionsOf(destination, changed, counts);
    again.push(...toldAgain(receiver, tasks, rejected));
    const groups = new Map<string, { ids: Set<string>; cause: string }>();
    for (const { extract, first, second } of repetitions) {
      const cause = causeOf(evidence, interruptions.get(extract) ?? [], first, second);
      if (cause === null) {
        beyond.push(`${first.messageId} came again ${second.takenAt - first.takenAt} ms later, and nothing was killed`);
        continue;
      }
      const key = `${extract} ${cause}`;
      const group = groups.get(key) ?? { ids: new Set<string>(), cause };
      groups.set(key, group);
      group.ids.add(first.messageId);
    }
    for (const [key, { ids, cause }] of groups) {
      if (cause.startsWith('kill')) {
        counts.byKill += ids.size;
        counts.killsThatRepeated += 1;
      } else counts.byInterruption += ids.size;
      if (ids.size > batchSize) beyond.push(`${key}: ${ids.size} messages came again, a batch has ${batchSize}`);
    }
  }
  return [
    result('what is delivered twice has the same message id, and says the same', counts.twice, changed),
    result('nobody is told again what they know', counts.taken, again),
    result('what is delivered twice is at most the batch in flight per kill', counts.taken, beyond, counts),
  ];
}

/** The repetitions that the receiver did not bring about itself, by failing after it had taken the message. */
function repetitionsOf(
  { receiver, types }: Destination,
  changed: string[],
  counts: { twice: number; byReceiver: number },
): Repetition[] {
  const last = new Map<string, Taking>();
  // The request in which each message was taken for good.
  const good = new Map<string, number>();
  const repetitions: Repetition[] = [];
  for (const second of receiver.takings) {
    const { messageId, request } = second;
    const first = last.get(messageId);
    last.set(messageId, second);
    if (first !== undefined) {
      counts.twice += 1;
      if (first.bytes !== second.bytes) changed.push(`${messageId} says something else the second time`);
      // A batch that was refused is split, also between the messages of one change: the change is sent again where one of them failed.
      const siblings = types.map((type) => `${changeOf(messageId)}-${type}`).filter((id) => id !== messageId);
      const alone = siblings.some((id) => !good.has(id) || good.get(id) === request);
      if (first.failed || alone) counts.byReceiver += 1;
      else repetitions.push({ extract: extractOf(messageId), first, second });
    }
    if (!second.failed) good.set(messageId, request);
  }
  return repetitions;
}

/**
 * Messages that tell a tool of someone what it was told before, under another id: a difference that is none. Right only where
 * nobody can know what the tool has (the sync of the first, or one between the two, never came to its end, or one of them had a
 * change of theirs refused, after the tool may have taken it or a part of it), or where someone asked for everything.
 */
function toldAgain(
  receiver: Receiver,
  tasks: ReadonlyMap<string, readonly ExtractTask[]>,
  rejected: readonly Rejection[],
): string[] {
  const unfinished = [...tasks].flatMap(([extract, of]) =>
    of.every(({ deliveredAt }) => deliveredAt === null) ? [numbered(extract)] : [],
  );
  const told = new Map<string, Taking>();
  return receiver.takings.flatMap((again) => {
    const about = `${again.computationId} ${again.type} ${again.user}`;
    const first = told.get(about);
    told.set(about, again);
    if (first === undefined || first.messageId === again.messageId || first.value !== again.value) return [];
    const [from, to] = [numbered(extractOf(first.messageId)), numbered(extractOf(again.messageId))];
    const right =
      unfinished.some((extract) => isBetween(extract, from, to)) ||
      rejected.some(({ extract, user }) => user === again.user && isBetween(extract, from, to)) ||
      (tasks.get(extractOf(again.messageId)) ?? []).some((task) => !task.differenceOnly);
    return right ? [] : [`${again.messageId} tells again what ${first.messageId} told: ${again.value}`];
  });
}

interface NumberedExtract {
  connection: string;
  number: number;
}

function isBetween({ connection, number }: NumberedExtract, from: NumberedExtract, to: NumberedExtract): boolean {
  return connection === from.connection && number >= from.number && number <= to.number;
}

function numbered(extract: string): NumberedExtract {
  const [connection = '', number = ''] = extract.split('-ext');
  return { connection, number: Number(number) };
}

/** What was down, or else broken off, between the two times that a message was taken. */
function causeOf(
  { outages }: Evidence,
  interruptions: readonly number[],
  first: Taking,
  second: Taking,
): string | null {
  const outage = outages.findIndex(({ downAt, upAt }) => upAt >= first.takenAt && downAt <= second.takenAt);
  if (outage >= 0) return `kill ${outage}`;
  const interrupted = interruptions.find((endedAt) => endedAt >= first.takenAt && endedAt <= second.takenAt);
  return interrupted === undefined ? null : `interruption at ${interrupted}`;
}

/**
 * When a delivery was broken off though nothing was killed just then, by extract: someone paused or cancelled it, or the machine
 * was too slow for the worker's heartbeats, or for a connection to an engine.
 */
async function readInterruptions(
  { pool }: Evidence,
  tasks: ReadonlyMap<string, readonly ExtractTask[]>,
): Promise<Map<string, number[]>> {
  const { rows } = await pool.query<{ task_id: string; ended_at: Date }>(
    `select task_id, ended_at from step_executions
     where step = 'deliver' and (outcome = 'interrupted' or (outcome = 'failed' and code not like 'destination_%'))`,
  );
  const byTask = new Map<string, number[]>();
  for (const { task_id: taskId, ended_at: endedAt } of rows) {
    byTask.set(taskId, [...(byTask.get(taskId) ?? []), endedAt.getTime()]);
  }
  return new Map([...tasks].map(([extract, of]) => [extract, of.flatMap(({ taskId }) => byTask.get(taskId) ?? [])]));
}

/** A change that a receiver refused: of whom, and in which extract. */
interface Rejection {
  extract: NumberedExtract;
  user: string;
}

async function readRejected(
  { pool }: Evidence,
  tasks: ReadonlyMap<string, readonly ExtractTask[]>,
): Promise<Rejection[]> {
  const { rows } = await pool.query<{ task_id: string; user_id: string }>(
    `select task_id, coalesce(nullif(user_id, ''), anonymous_id) as user_id from rejected_rows`,
  );
  const extracts = new Map([...tasks].flatMap(([extract, of]) => of.map(({ taskId }) => [taskId, extract] as const)));
  return rows.map((row) => ({ extract: numbered(extracts.get(row.task_id) ?? ''), user: row.user_id }));
}

/** A message id without the message's type: the change that it is of. */
function changeOf(messageId: string): string {
  return messageId.slice(0, messageId.lastIndexOf('-'));
}
