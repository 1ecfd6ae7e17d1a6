import { selectRows } from '../../src/store/index.ts';
import { differences, liveValues } from './promises-delivery.ts';
import { result, type Evidence, type PromiseResult } from './evidence.ts';
import { idOf } from './people.ts';

/** Each event that was acknowledged is in ClickHouse exactly once, and nothing else is. */
export async function checkEvents(evidence: Evidence): Promise<PromiseResult> {
  const broken: string[] = [];
  let checked = 0;
  for (const [workspace, acknowledged] of evidence.traffic.acknowledged) {
    const rows = await selectRows<{ messageId: string; times: number }>(
      evidence.clickhouse,
      `SELECT message_id AS messageId, toUInt32(count()) AS times FROM events
       WHERE space_id = {space:String} GROUP BY message_id`,
      { space: workspace.spaceId },
    );
    const found = new Map(rows.map(({ messageId, times }) => [messageId, times]));
    for (const messageId of acknowledged) {
      checked += 1;
      const times = found.get(messageId) ?? 0;
      if (times !== 1) broken.push(`${messageId} was acknowledged and is there ${times} times`);
    }
    for (const messageId of found.keys()) {
      if (!acknowledged.has(messageId)) broken.push(`${messageId} is there, and was never acknowledged`);
    }
  }
  return result('an acknowledged event is in ClickHouse exactly once', checked, broken);
}

/** What is live is what the acknowledged events say, by the driver's own account of each person. */
export async function checkMembership(evidence: Evidence): Promise<PromiseResult> {
  const broken: string[] = [];
  const { rows } = await evidence.pool.query<{
    computation_id: string;
    kind: 'audience' | 'computed_trait';
    key: string;
    workspace_id: string;
    space_id: string;
    live_version: number | null;
    definition_query: string;
  }>(
    `select id as computation_id, kind, key, workspace_id, space_id, live_version, definition_query
     from computations where enabled and deleted_at is null order by id`,
  );
  let values = 0;
  for (const row of rows) {
    const workspace = evidence.world.workspaces.find(({ id }) => id === row.workspace_id);
    const definition = evidence.world.definitions.get(row.definition_query);
    if (workspace === undefined || definition === undefined) {
      broken.push(`${row.key} has a definition that nobody gave it: ${row.definition_query}`);
      continue;
    }
    const expected = new Map<string, unknown>();
    for (const person of workspace.people.standing) {
      const value = definition.of(person);
      if (value !== undefined) expected.set(idOf(person), value);
    }
    values += expected.size;
    const differing = differences(expected, await liveValues(evidence, row));
    if (differing.length > 0) {
      broken.push(
        `${row.key}, ${row.definition_query}: ${differing.length} differ: ${differing.slice(0, 5).join('; ')}`,
      );
    }
  }
  return result('what is live is what the events say', rows.length, broken, { values });
}
