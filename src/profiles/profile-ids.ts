import { selectRows, type ClickHouseClient } from '../store/index.ts';
import { profileIdsSql } from './identity-sql.ts';

/** A profile as people find it again; an id is '' where it has none. */
export interface ProfileIds {
  profile: number;
  userId: string;
  anonymousId: string;
}

/** The ids of profiles of a space, by their numbers; one that ClickHouse has not heard of yet has none. */
export async function readProfileIds(
  clickhouse: ClickHouseClient,
  spaceId: string,
  profiles: readonly number[],
): Promise<(profile: number) => ProfileIds> {
  const rows =
    profiles.length === 0
      ? []
      : await selectRows<ProfileIds>(
          clickhouse,
          `SELECT owner AS profile, user_id AS userId, anonymous_id AS anonymousId
           FROM (${profileIdsSql('{space:String}', '{profiles:Array(UInt32)}')})`,
          { space: spaceId, profiles },
        );
  const known = new Map(rows.map((row) => [row.profile, row]));
  return (profile) => known.get(profile) ?? { profile, userId: '', anonymousId: '' };
}
