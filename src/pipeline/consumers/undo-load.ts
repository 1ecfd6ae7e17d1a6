import type { ClickHouseClient, Queryable } from '../../store/index.ts';
import { runStatement, selectRows } from '../../store/index.ts';
import type { SpentNumbers } from './consumer-lease.ts';

// Sixteen decimal digits of a trait's version are its row's number: see clickhouse-rows.ts.
const ORDINAL = `toUInt64(version % toUInt128('10000000000000000'))`;
const CHUNK = 20_000;

/**
 * Takes out of ClickHouse what a range has left there that is given up, and puts back what it wrote over: profiles and accounts as
 * PostgreSQL has them, traits as the events have them. Twice is as once, and it may come late: only a range that is given up
 * has these numbers.
 */
export async function undoLoad(db: Queryable, clickhouse: ClickHouseClient, spent: SpentNumbers): Promise<void> {
  const params = {
    batch: spent.batch,
    lastBatch: spent.lastBatch ?? spent.batch,
    repair: spent.repair,
    first: spent.firstOrdinal,
    last: spent.lastOrdinal,
  };
  await repairProfiles(db, clickhouse, params);
  await repairAccounts(db, clickhouse, params);
  const ordinals = `${ORDINAL} BETWEEN {first:UInt64} AND {last:UInt64}`;
  await repairTraits(clickhouse, params, ordinals);
  for (const [table, where] of [
    ['events', 'batch BETWEEN {batch:UInt64} AND {lastBatch:UInt64}'],
    ['profile_traits', ordinals],
    ['account_traits', ordinals],
    ['account_members', 'version BETWEEN {first:UInt64} AND {last:UInt64}'],
    ['accounts', 'version BETWEEN {batch:UInt64} AND {lastBatch:UInt64}'],
    ['profiles', 'version BETWEEN {batch:UInt64} AND {lastBatch:UInt64}'],
  ] as const) {
    await deleteWhere(clickhouse, table, where, params);
  }
}

type Params = { batch: number; lastBatch: number; repair: number; first: number; last: number };

/** A mutation rewrites the parts that it touches, so it is made only where there is something to take out. */
async function deleteWhere(clickhouse: ClickHouseClient, table: string, where: string, params: Params): Promise<void> {
  const found = await selectRows(clickhouse, `SELECT 1 FROM ${table} WHERE ${where} LIMIT 1`, { ...params });
  if (found.length === 0) return;
  await runStatement(
    clickhouse,
    `ALTER TABLE ${table} DELETE WHERE ${bound(where, params)} SETTINGS mutations_sync = 2`,
  );
}

// A mutation is kept as text, which takes no parameters. These are all numbers of ours.
function bound(where: string, params: Params): string {
  return where.replace(/\{(\w+):UInt64\}/g, (_, name: keyof Params) => String(params[name]));
}

async function repairProfiles(db: Queryable, clickhouse: ClickHouseClient, params: Params): Promise<void> {
  const touched = await selectRows<{ space_id: string; profile: number }>(
    clickhouse,
    'SELECT DISTINCT space_id, profile FROM profiles WHERE version BETWEEN {batch:UInt64} AND {lastBatch:UInt64}',
    { ...params },
  );
  for (let at = 0; at < touched.length; at += CHUNK) {
    const some = touched.slice(at, at + CHUNK);
    const { rows } = await db.query<{
      space_id: string;
      profile: number;
      user_id: string;
      anonymous_id: string;
      merged: number;
    }>(
      `select p.space_id, p.profile, coalesce(p.user_id, '') as user_id, coalesce(p.anonymous_id, '') as anonymous_id,
              coalesce(p.merged_into, 0) as merged
       from unnest($1::text[], $2::int[]) as k (space_id, profile)
       join profiles p on p.space_id = k.space_id and p.profile = k.profile`,
      [some.map((row) => row.space_id), some.map((row) => row.profile)],
    );
    await insertRepair(
      clickhouse,
      'profiles',
      ['space_id', 'profile', 'user_id', 'anonymous_id', 'merged_into', 'version'],
      rows.map((row) => [row.space_id, row.profile, row.user_id, row.anonymous_id, row.merged, params.repair]),
    );
  }
}

async function repairAccounts(db: Queryable, clickhouse: ClickHouseClient, params: Params): Promise<void> {
  const touched = await selectRows<{ space_id: string; account: number }>(
    clickhouse,
    'SELECT DISTINCT space_id, account FROM accounts WHERE version BETWEEN {batch:UInt64} AND {lastBatch:UInt64}',
    { ...params },
  );
  for (let at = 0; at < touched.length; at += CHUNK) {
    const some = touched.slice(at, at + CHUNK);
    const { rows } = await db.query<{ space_id: string; account: number; group_id: string }>(
      `select a.space_id, a.account, a.group_id from unnest($1::text[], $2::int[]) as k (space_id, account)
       join accounts a on a.space_id = k.space_id and a.account = k.account`,
      [some.map((row) => row.space_id), some.map((row) => row.account)],
    );
    await insertRepair(
      clickhouse,
      'accounts',
      ['space_id', 'account', 'group_id', 'version'],
      rows.map((row) => [row.space_id, row.account, row.group_id, params.repair]),
    );
  }
}

async function insertRepair(
  clickhouse: ClickHouseClient,
  table: string,
  columns: [string, ...string[]],
  values: (string | number)[][],
): Promise<void> {
  if (values.length === 0) return;
  await clickhouse.insert({ table, columns, values, format: 'JSONCompactEachRow' });
}

/**
 * A trait's former write is gone where ClickHouse has merged it with the one that is taken out. It is in the identify that wrote it,
 * so it is made of that again, as the write of its time with the lowest number: where the former row is still there, that counts.
 */
async function repairTraits(clickhouse: ClickHouseClient, params: Params, ordinals: string): Promise<void> {
  const version = `toUInt128(toUnixTimestamp64Milli(max(e.timestamp)) + 2208988800000) * toUInt128('10000000000000000')`;
  await runStatement(
    clickhouse,
    `INSERT INTO profile_traits (space_id, trait, profile, value, timestamp, version)
     SELECT e.space_id, pair.1 AS name, e.profile, argMax(pair.2, (e.timestamp, e.batch)), max(e.timestamp), ${version}
     FROM events AS e ARRAY JOIN JSONExtractKeysAndValuesRaw(e.properties, 'traits') AS pair
     WHERE e.type = 'identify' AND e.batch NOT BETWEEN {batch:UInt64} AND {lastBatch:UInt64}
       AND (e.space_id, e.profile) IN (SELECT space_id, profile FROM profile_traits WHERE ${ordinals})
       AND (e.space_id, name, e.profile) IN (SELECT space_id, trait, profile FROM profile_traits WHERE ${ordinals})
     GROUP BY e.space_id, name, e.profile`,
    { ...params },
  );
  await runStatement(
    clickhouse,
    `INSERT INTO account_traits (space_id, trait, account, value, timestamp, version)
     SELECT e.space_id, pair.1 AS name, a.account, argMax(pair.2, (e.timestamp, e.batch)), max(e.timestamp), ${version}
     FROM (SELECT *, JSONExtractString(properties, 'groupId') AS group_id FROM events WHERE type = 'group') AS e
     ARRAY JOIN JSONExtractKeysAndValuesRaw(e.properties, 'traits') AS pair
     JOIN (SELECT space_id, account, group_id FROM accounts FINAL) AS a ON a.space_id = e.space_id AND a.group_id = e.group_id
     WHERE e.batch NOT BETWEEN {batch:UInt64} AND {lastBatch:UInt64}
       AND (e.space_id, name, a.account) IN (SELECT space_id, trait, account FROM account_traits WHERE ${ordinals})
     GROUP BY e.space_id, name, a.account`,
    { ...params },
  );
}
