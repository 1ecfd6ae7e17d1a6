import { result, type Evidence, type PromiseResult } from './evidence.ts';
import { idOf } from './people.ts';
import { AUDIENCES_PATH } from './receivers.ts';

// A request that was on its way when the change was answered has arrived by then, also on a machine that is busy.
const IN_FLIGHT_MS = 2_000;

/**
 * After the answer to a change nothing goes out under the state before it: but for the one request that each sync may have had in
 * flight, nothing arrives at a destination that is off, or at the address that one had before.
 */
export function checkOff({ world }: Evidence): PromiseResult {
  const broken: string[] = [];
  const counts = { requests: 0, inFlight: 0 };
  for (const { receiver, change, path: allowed, from, until } of world.rules) {
    const inFlight = new Set<string>();
    for (const { path, arrivedAt, extracts } of receiver.received) {
      if (arrivedAt <= from || arrivedAt >= until) continue;
      counts.requests += 1;
      if (allowed !== null && (path === allowed || path === AUDIENCES_PATH)) continue;
      const late = arrivedAt - from;
      const whose = extracts.join(', ') || path;
      if (late <= IN_FLIGHT_MS && !inFlight.has(whose)) {
        inFlight.add(whose);
        counts.inFlight += 1;
        continue;
      }
      broken.push(`${receiver.name} was ${change}, and ${late} ms later ${path} got a request of ${whose}`);
    }
  }
  return result('nothing goes out after off', world.rules.length, broken, counts);
}

/**
 * At rest, after everything was sent once more, each receiver has everyone whom a computation finds, by the driver's own account of
 * each person: under the id and with the e-mail address of who they are after all merges, and not under the anonymous id of before. Nobody is there under any id who is not found.
 */
export async function checkPeople({ pool, world }: Evidence): Promise<PromiseResult> {
  const { rows } = await pool.query<{
    computation_id: string;
    key: string;
    workspace_id: string;
    destination_id: string;
    definition_query: string;
  }>(
    `select c.id as computation_id, c.key, c.workspace_id, n.destination_id, c.definition_query
     from connections n join computations c on c.id = n.computation_id
     where n.enabled and c.enabled and c.deleted_at is null order by n.id`,
  );
  const broken: string[] = [];
  let checked = 0;
  for (const row of rows) {
    const workspace = world.workspaces.find(({ id }) => id === row.workspace_id);
    const destination = workspace?.destinations.find(({ id }) => id === row.destination_id);
    const definition = world.definitions.get(row.definition_query);
    if (workspace === undefined || destination === undefined || definition === undefined) continue;
    const found = workspace.people.standing.filter((person) => definition.of(person) !== undefined);
    for (const type of destination.types) {
      const there = destination.receiver.state.get(`${row.computation_id} ${type}`) ?? new Map<string, unknown>();
      const emails = destination.receiver.emails.get(`${row.computation_id} ${type}`);
      const where = `${row.key} at ${destination.receiver.name}, ${type}`;
      for (const person of found) {
        checked += 1;
        const id = idOf(person);
        const [has, should] = [there.get(id), definition.of(person)];
        if (has !== should) broken.push(`${where}: ${id} has ${JSON.stringify(has)} and not ${JSON.stringify(should)}`);
        const [told, known] = [emails?.get(id) ?? null, person.email?.value ?? null];
        if (told !== known) broken.push(`${where}: ${id} came with ${told} and not with ${known}`);
      }
      for (const id of there.keys()) {
        const person = workspace.people.withId(id);
        if (person === undefined || !found.includes(person))
          broken.push(`${where}: ${id} is there, and is nobody found`);
        else if (workspace.people.isOutgrown(id))
          broken.push(`${where}: ${id} is there, and is known as ${idOf(person)}`);
      }
    }
  }
  const merges = world.workspaces.reduce((sum, { people }) => sum + people.merges, 0);
  const became = world.workspaces.reduce((sum, { people }) => sum + people.became, 0);
  const counts = { merges, became };
  return result(
    'a receiver has each person under their resolved ids',
    merges + became === 0 ? 0 : checked,
    broken,
    counts,
  );
}
