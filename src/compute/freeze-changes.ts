import { runStatement, selectRows } from '../store/index.ts';
import { UNKNOWN } from './baselines.ts';
import {
  changesSql,
  followersOfPeopleSql,
  peopleSql,
  sliceEndsSql,
  type ExtractScope,
  type ExtractKind,
} from './extract-sql.ts';
import type { QueryContext } from './versions.ts';

// What a statement puts together is held in memory, some 1.5 KB a person: so a first sync of millions takes no more than one of these.
const PEOPLE_AT_ONCE = 200_000;
const LAST_PROFILE = 2 ** 32 - 1;

/**
 * Freezes what a sync delivers: every profile whose value in `version` differs from the connection's baseline, numbered in
 * profile order, under the number `extractId`. Returns how many there are, and how many of them are `outgrown`. Of `everything`, also those that have a value which the
 * baseline has; of what is `redriven`, only the profiles that keepRedrivenProfiles wrote down under that number.
 *
 * Values, ids and traits are those of the person: read through the mapping of merged profiles, as a query reads them. A profile
 * that was merged into another counts for that one. It is not delivered any more, unless the destination has it and the profile it
 * became has no value: then somebody has to take it out, under the ids and traits that were its own.
 *
 * A profile that has become a user's, and that the destination knows by its anonymous id, is outgrown: the change takes it out under
 * that id, whatever it has, and is all that is said of it. Once that is acknowledged, the next extract says what it has under the user id.
 *
 * First who differs is found, as bitmaps; ids and traits are read of those alone. So ten changes cost what ten changes cost, in an
 * audience of a million. Each statement writes down what the next one reads by its key, because to plan a statement in which the same
 * is asked for again and again takes longer than to execute it. `since` says which bitmaps of an audience's baseline to go on
 * from (see keepBaselineBitmaps); without, all of its rows are read.
 */
export async function freezeChanges(
  context: QueryContext,
  connection: {
    id: string;
    spaceId: string;
    computationId: string;
    kind: ExtractKind;
    version: number;
  },
  extractId: number,
  scope: ExtractScope = 'difference',
  since = 0,
  peopleAtOnce = PEOPLE_AT_ONCE,
): Promise<{ changes: number; outgrown: number }> {
  const params = {
    extract: extractId,
    connection: connection.id,
    space: connection.spaceId,
    computation: connection.computationId,
    version: connection.version,
    since,
    unknown: UNKNOWN,
  };
  const { kind } = connection;
  await runStatement(context.clickhouse, peopleSql(kind, scope, since), params, context);
  await runStatement(context.clickhouse, followersOfPeopleSql(), params, context);
  const ends = await selectRows<{ owner: number }>(
    context.clickhouse,
    sliceEndsSql(),
    { extract: extractId, slice: peopleAtOnce },
    context,
  );
  let after = 0;
  let frozen = { changes: 0, outgrown: 0 };
  for (const upTo of [...ends.map(({ owner }) => owner), LAST_PROFILE]) {
    const slice = { ...params, after, upTo, next: frozen.changes };
    await runStatement(context.clickhouse, changesSql(kind, scope), slice, context);
    frozen = await countChanges(context, extractId);
    after = upTo;
  }
  return frozen;
}

async function countChanges(context: QueryContext, extractId: number): Promise<{ changes: number; outgrown: number }> {
  const rows = await selectRows<{ changes: number; outgrown: number }>(
    context.clickhouse,
    `SELECT toUInt32(count()) AS changes, toUInt32(countIf(outgrown = 1)) AS outgrown FROM sync_changes
     WHERE extract_id = {extract:UInt64}`,
    { extract: extractId },
    context,
  );
  return rows[0] ?? { changes: 0, outgrown: 0 };
}
