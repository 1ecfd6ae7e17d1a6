import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { selectRows } from '../../src/store/index.ts';
import { createTestStores, type TestStores } from '../helpers/engines.ts';
import { createPipelineWorld, loadAll, send, testLoader, type PipelineWorld } from './pipeline-world.ts';

let stores: TestStores;
beforeAll(async () => {
  stores = await createTestStores();
});
afterAll(async () => await stores.close());

interface Message extends Record<string, unknown> {
  type: 'track' | 'identify' | 'alias' | 'group' | 'page';
  messageId: string;
  timestamp: string;
  userId?: string;
  anonymousId?: string;
  previousId?: string;
  groupId?: string;
  traits?: Record<string, unknown>;
}

interface Person {
  users: Set<string>;
  anonymous: Set<string>;
  events: string[];
  traits: Map<string, { at: string; value: unknown }>;
}

/** Who is who by the rules as one would tell them: people are sets of ids that grow together. One message at a time. */
class Model {
  people: Person[] = [];
  members = new Map<string, Set<string>>();
  accountTraits = new Map<string, { at: string; value: unknown }>();

  add(message: Message): void {
    const person = this.personOf(message);
    person.events.push(message.messageId);
    if (message.type === 'identify') write(person.traits, message);
    if (message.type !== 'group' || message.groupId === undefined) return;
    write(this.accountTraits, message, `${message.groupId}/`);
    const members = this.members.get(message.groupId) ?? new Set();
    this.members.set(message.groupId, members.add(message.messageId));
  }

  private personOf(message: Message): Person {
    const user = this.people.find(({ users }) => users.has(message.userId ?? ''));
    if (message.type === 'alias') {
      const previous = message.previousId ?? '';
      if (previous === message.userId) return user ?? this.person({ user: previous });
      const named = this.people.find(({ users }) => users.has(previous));
      if (named !== undefined) return this.join(named, user ?? this.person({ user: message.userId ?? '' }));
      return this.meet(message.userId ?? '', user, previous);
    }
    if (message.userId === undefined) {
      const anonymous = message.anonymousId ?? '';
      return this.people.find((person) => person.anonymous.has(anonymous)) ?? this.person({ anonymous });
    }
    if (message.anonymousId !== undefined) return this.meet(message.userId, user, message.anonymousId);
    return user ?? this.person({ user: message.userId });
  }

  /** A user id and an anonymous id in one message. */
  private meet(userId: string, user: Person | undefined, anonymousId: string): Person {
    const owner = this.people.find(({ anonymous }) => anonymous.has(anonymousId));
    if (owner !== undefined && owner.users.size > 0) return user ?? this.person({ user: userId });
    const person = user ?? owner ?? this.person({});
    person.users.add(userId);
    person.anonymous.add(anonymousId);
    return owner === undefined ? person : this.join(owner, person);
  }

  private person(ids: { user?: string; anonymous?: string }): Person {
    const person: Person = { users: new Set(), anonymous: new Set(), events: [], traits: new Map() };
    if (ids.user !== undefined) person.users.add(ids.user);
    if (ids.anonymous !== undefined) person.anonymous.add(ids.anonymous);
    this.people.push(person);
    return person;
  }

  private join(from: Person, into: Person): Person {
    if (from === into) return into;
    for (const id of from.users) into.users.add(id);
    for (const id of from.anonymous) into.anonymous.add(id);
    into.events.push(...from.events);
    for (const [name, trait] of from.traits) {
      const own = into.traits.get(name);
      if (own === undefined || isLater(trait.at, own.at)) into.traits.set(name, trait);
    }
    this.people = this.people.filter((person) => person !== from);
    return into;
  }
}

// A trait's place in time: its message's time, and at the same time the message's number.
function write(known: Map<string, { at: string; value: unknown }>, message: Message, prefix = ''): void {
  const at = `${message.timestamp}#${message.messageId}`;
  for (const [name, value] of Object.entries(message.traits ?? {})) {
    const own = known.get(prefix + name);
    if (own === undefined || isLater(at, own.at)) known.set(prefix + name, { at, value });
  }
}

function isLater(one: string, other: string): boolean {
  return one > other;
}

const users = fc.constantFrom('ann', 'bob', 'cem');
const anonymous = fc.constantFrom('a1', 'a2', 'a3', 'a4');
// Few times, so that many writes are at the same one; times that go back, as clients' do.
const common = { timestamp: fc.constantFrom('2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z') };
const traits = fc.dictionary(fc.constantFrom('plan', 'age'), fc.constantFrom('free', 7, null, { deep: [1] }));
const message = fc.oneof(
  fc.record({ ...common, type: fc.constant('track'), event: fc.constant('E'), userId: users }),
  fc.record({ ...common, type: fc.constant('track'), event: fc.constant('E'), anonymousId: anonymous }),
  fc.record({ ...common, type: fc.constant('identify'), userId: users, anonymousId: anonymous, traits }),
  fc.record({ ...common, type: fc.constant('identify'), anonymousId: anonymous, traits }),
  fc.record({ ...common, type: fc.constant('page'), userId: users, anonymousId: anonymous }),
  fc.record({ ...common, type: fc.constant('alias'), userId: users, previousId: fc.oneof(users, anonymous) }),
  fc.record({ ...common, type: fc.constant('group'), userId: users, groupId: fc.constantFrom('g1', 'g2'), traits }),
);

test('who is who does not depend on how the log is cut into batches', { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 24 }),
      fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 6 }),
      async (bodies, cuts) => {
        const world = await createPipelineWorld(stores.pool);
        const messages = bodies.map((body, index): Message => ({
          ...body,
          messageId: `m${String(index).padStart(2, '0')}`,
        }));
        await send(stores.pool, world, messages);
        for (const maxRows of cuts) await testLoader(stores, { maxRows, leaseMs: 0 }).loadOnce();
        await loadAll(stores.pool, testLoader(stores, { leaseMs: 0 }));

        const model = new Model();
        for (const one of messages) model.add(one);
        expect(await readPeople(world)).toEqual(
          sortPeople(
            model.people.map(({ users: userIds, anonymous: anonymousIds, events, traits: known }) => ({
              users: [...userIds].sort(),
              anonymous: [...anonymousIds].sort(),
              events: events.toSorted(),
              traits: present(known),
            })),
          ),
        );
        expect(await readAccountTraits(world)).toEqual(present(model.accountTraits));
        const memberEvents = await readMembers(world);
        for (const [groupId, ids] of model.members) {
          const people = model.people.filter(({ events }) => events.some((id) => ids.has(id)));
          expect(memberEvents[groupId]).toEqual(people.flatMap(({ events }) => events).toSorted());
        }
      },
    ),
    { numRuns: 20 },
  );
});

interface ShownPerson {
  users: string[];
  anonymous: string[];
  events: string[];
  traits: Record<string, unknown>;
}

function present(known: Map<string, { value: unknown }>): Record<string, unknown> {
  const shown = [...known].filter(([, { value }]) => value !== null).map(([name, { value }]) => [name, value]);
  return Object.fromEntries(shown) as Record<string, unknown>;
}

function sortPeople(people: ShownPerson[]): ShownPerson[] {
  return people.toSorted((one, other) => ((one.events[0] ?? '') < (other.events[0] ?? '') ? -1 : 1));
}

/** The same from the engines: ids from PostgreSQL, events and traits by the standing profile from ClickHouse. */
async function readPeople(world: PipelineWorld): Promise<ShownPerson[]> {
  const people = new Map<number, ShownPerson>();
  const ids = await stores.pool.query<{ type: string; value: string; profile: number }>(
    `select type, value, e.profile from external_ids e
     join profiles p on p.space_id = e.space_id and p.profile = e.profile and p.merged_into is null
     where e.space_id = $1 order by value`,
    [world.spaceId],
  );
  const all = await stores.pool.query('select from external_ids where space_id = $1', [world.spaceId]);
  expect(ids.rowCount).toBe(all.rowCount);
  for (const { type, value, profile } of ids.rows) {
    const person = people.get(profile) ?? { users: [], anonymous: [], events: [], traits: {} };
    people.set(profile, person);
    (type === 'user_id' ? person.users : person.anonymous).push(value);
  }
  const standing = await selectRows<{ owner: number; standing: number }>(
    stores.clickhouse,
    `SELECT if(merged_into = 0, profile, merged_into) AS owner, merged_into = 0 AS standing FROM profiles FINAL
     WHERE space_id = {space:String}`,
    { space: world.spaceId },
  );
  // No chain: whoever was merged points to a profile that stands.
  const stands = new Set(standing.filter((row) => row.standing === 1).map(({ owner }) => owner));
  expect(new Set(standing.map(({ owner }) => owner))).toEqual(stands);
  expect(new Set(people.keys())).toEqual(stands);

  const events = await selectRows<{ owner: number; message_id: string }>(
    stores.clickhouse,
    `SELECT if(p.merged_into = 0, e.profile, p.merged_into) AS owner, e.message_id AS message_id FROM events AS e
     LEFT ANY JOIN (SELECT profile, merged_into FROM profiles FINAL WHERE space_id = {space:String}) AS p ON p.profile = e.profile
     WHERE space_id = {space:String} ORDER BY message_id`,
    { space: world.spaceId },
  );
  for (const { owner, message_id: id } of events) people.get(owner)?.events.push(id);
  const traitRows = await selectRows<{ owner: number; trait: string; value: string }>(
    stores.clickhouse,
    `SELECT if(p.merged_into = 0, t.profile, p.merged_into) AS owner, trait, argMax(value, version) AS value
     FROM profile_traits AS t
     LEFT ANY JOIN (SELECT profile, merged_into FROM profiles FINAL WHERE space_id = {space:String}) AS p ON p.profile = t.profile
     WHERE space_id = {space:String} GROUP BY owner, trait HAVING value != 'null'`,
    { space: world.spaceId },
  );
  for (const { owner, trait, value } of traitRows) {
    const person = people.get(owner);
    if (person !== undefined) person.traits[trait] = JSON.parse(value);
  }
  return sortPeople([...people.values()]);
}

async function readAccountTraits(world: PipelineWorld): Promise<Record<string, unknown>> {
  const rows = await selectRows<{ name: string; value: string }>(
    stores.clickhouse,
    `SELECT concat(a.group_id, '/', trait) AS name, value FROM
       (SELECT account, trait, value FROM account_traits FINAL WHERE space_id = {space:String}) AS t
     JOIN (SELECT account, group_id FROM accounts FINAL WHERE space_id = {space:String}) AS a ON a.account = t.account
     WHERE value != 'null'`,
    { space: world.spaceId },
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, JSON.parse(value)])) as Record<string, unknown>;
}

/** For each group the events of its members. */
async function readMembers(world: PipelineWorld): Promise<Record<string, string[]>> {
  const rows = await selectRows<{ group_id: string; ids: string[] }>(
    stores.clickhouse,
    `WITH owners AS (SELECT profile, if(merged_into = 0, profile, merged_into) AS owner FROM profiles FINAL WHERE space_id = {space:String})
     SELECT a.group_id AS group_id, arraySort(groupUniqArray(e.message_id)) AS ids
     FROM (SELECT account, profile FROM account_members FINAL WHERE space_id = {space:String}) AS m
     JOIN (SELECT account, group_id FROM accounts FINAL WHERE space_id = {space:String}) AS a ON a.account = m.account
     JOIN owners AS mo ON mo.profile = m.profile
     JOIN (SELECT e.message_id AS message_id, o.owner AS owner FROM (SELECT * FROM events WHERE space_id = {space:String}) AS e JOIN owners AS o ON o.profile = e.profile) AS e ON e.owner = mo.owner
     GROUP BY group_id`,
    { space: world.spaceId },
  );
  return Object.fromEntries(rows.map((row) => [row.group_id, row.ids]));
}
