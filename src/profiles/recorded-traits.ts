import { RequestError } from '../errors.ts';
import { selectRows, type ClickHouseClient } from '../store/index.ts';

/** The trait that destinations match people by: it goes out with every change. */
export const MATCHED_TRAIT = 'email';

const TIMEOUT_MS = 10_000;

/**
 * Whether a trait of this name was ever recorded of a profile of the space, by its primary key. Throws RequestError
 * `traits_unknown` (503) where ClickHouse, which alone knows, does not say so in ten seconds.
 */
export async function isRecordedTrait(clickhouse: ClickHouseClient, spaceId: string, trait: string): Promise<boolean> {
  try {
    const rows = await selectRows<{ found: number }>(
      clickhouse,
      'SELECT 1 AS found FROM profile_traits WHERE space_id = {space:String} AND trait = {trait:String} LIMIT 1',
      { space: spaceId, trait },
      { signal: AbortSignal.timeout(TIMEOUT_MS) },
    );
    return rows.length > 0;
  } catch (error) {
    throw new RequestError(
      'unavailable',
      'traits_unknown',
      `Nothing was created. Whether ${trait} is a trait that people have, which a key must not be, only ClickHouse knows, and it did not say. Try again when ClickHouse is there.`,
      { field: 'key', cause: error },
    );
  }
}
