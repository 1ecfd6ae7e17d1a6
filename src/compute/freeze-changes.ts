import { runStatement, selectRows } from '../store/index.ts';
import { UNKNOWN } from './baselines.ts';
import { changesSql, followersOfPeopleSql, peopleSql, type ExtractScope, type ExtractKind } from './extract-sql.ts';
import type { QueryContext } from './versions.ts';

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
  for (const statement of [peopleSql(kind, scope, since), followersOfPeopleSql(), changesSql(kind, scope)]) {
    await runStatement(context.clickhouse, statement, params, context);
  }
  const rows = await selectRows<{ changes: number; outgrown: number }>(
    context.clickhouse,
    'SELECT toUInt32(count()) AS changes, toUInt32(countIf(outgrown = 1)) AS outgrown FROM sync_changes WHERE extract_id = {extract:UInt64}',
    { extract: extractId },
    context,
  );
  return rows[0] ?? { changes: 0, outgrown: 0 };
}
