import { selectRows, type ClickHouseClient } from '../store/index.ts';

/** The trait that destinations match people by: it goes out with every change. */
export const MATCHED_TRAIT = 'email';

const TIMEOUT_MS = 10_000;

/** Whether a trait of this name was ever recorded of a profile of the space, by its primary key. */
export async function isRecordedTrait(clickhouse: ClickHouseClient, spaceId: string, trait: string): Promise<boolean> {
  const rows = await selectRows<{ found: number }>(
    clickhouse,
    'SELECT 1 AS found FROM profile_traits WHERE space_id = {space:String} AND trait = {trait:String} LIMIT 1',
    { space: spaceId, trait },
    { signal: AbortSignal.timeout(TIMEOUT_MS) },
  );
  return rows.length > 0;
}
