import { TaskFailure } from '../errors.ts';
import { runStatement, selectRows, type ClickHouseClient, type Queryable, type QueryBounds } from '../store/index.ts';
import { computedTraitSql, membersBitmapSql, mergedBitmapSql, traitVersionSql } from '../profiles/index.ts';
import { compileAudience, compileTrait, parseQuery, type TraitResolver } from '../query/index.ts';

/** Where to compute, and what the queries have to keep to: who may end them, and how long the step may take that asks. */
export interface QueryContext extends QueryBounds {
  clickhouse: ClickHouseClient;
}

/** What a run computes: a definition as it was pinned, over events and traits as of one moment. */
export interface ComputeInput {
  computationId: string;
  kind: 'audience' | 'computed_trait';
  spaceId: string;
  definitionQuery: string;
  asOf: Date;
  traits: TraitResolver;
}

/**
 * A number that nothing has used: for a computed version or a frozen extract. Each execution of a step takes a new one, and
 * the step's output says which one counts. So what an execution left behind that died is never read.
 */
export async function nextVersion(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ version: number }>(`select nextval('version_seq') as version`);
  const row = rows[0];
  if (row === undefined) throw new Error('version_seq gave no number');
  return row.version;
}

/**
 * Computes one version into ClickHouse under the given number and returns its size: members of an audience, profiles that
 * have a value of a computed trait. Throws QueryError if the definition does not parse.
 */
export async function computeVersion(context: QueryContext, input: ComputeInput, version: number): Promise<number> {
  const ast = parseQuery(input.definitionQuery);
  const compileContext = { spaceId: input.spaceId, asOf: input.asOf, traits: input.traits };
  const own = { computation: input.computationId, version };
  if (input.kind === 'audience') {
    const { sql, params } = compileAudience(ast, compileContext);
    await runStatement(
      context.clickhouse,
      `INSERT INTO audience_versions (computation_id, version, members)
       SELECT {computation:String}, {version:UInt64}, members FROM (${sql})`,
      { ...params, ...own },
      context,
    );
    const [row] = await selectRows<{ size: number; rows: number }>(
      context.clickhouse,
      `SELECT toUInt32(sum(bitmapCardinality(members))) AS size, toUInt32(count()) AS rows FROM audience_versions
       WHERE computation_id = {computation:String} AND version = {version:UInt64}`,
      own,
      context,
    );
    return sizeOfWritten(row, input, version);
  }
  const { sql, params } = compileTrait(ast, compileContext);
  await runStatement(
    context.clickhouse,
    `INSERT INTO trait_versions (computation_id, version, bucket, profiles, values)
     SELECT {computation:String}, {version:UInt64}, toUInt16(intDiv(profile, 65536)) AS bucket,
            arrayMap(pair -> pair.1, arraySort(groupArray((profile, value))) AS pairs), arrayMap(pair -> pair.2, pairs)
     FROM (${sql})
     GROUP BY bucket
     UNION ALL
     -- a version without values has a row too
     SELECT {computation:String}, {version:UInt64}, toUInt16(0), CAST([], 'Array(UInt32)'), CAST([], 'Array(String)')`,
    { ...params, ...own },
    context,
  );
  const [row] = await selectRows<{ size: number; rows: number }>(
    context.clickhouse,
    `SELECT toUInt32(sum(length(profiles))) AS size, toUInt32(count()) AS rows FROM trait_versions
     WHERE computation_id = {computation:String} AND version = {version:UInt64}`,
    own,
    context,
  );
  return sizeOfWritten(row, input, version);
}

/** A version without members, or values, has a row too: one that has none was not written, or a replica is behind. */
function sizeOfWritten(
  row: { size: number; rows: number } | undefined,
  { computationId }: ComputeInput,
  version: number,
): number {
  if (row !== undefined && row.rows > 0) return row.size;
  throw new TaskFailure('clickhouse_unavailable', `version ${version} of ${computationId} is not there`);
}

/** How a new version differs from the live one, in profiles. An audience's changed is 0: one is in, or is not. */
export interface VersionDiff {
  entered: number;
  exited: number;
  changed: number;
}

/**
 * Compares two versions of a computation; `from` null is the empty one, before the first. Both are read through the mapping of merged
 * profiles: whoever was merged since the older one was computed has not left.
 */
export async function diffVersions(
  context: QueryContext,
  computation: { id: string; spaceId: string; kind: 'audience' | 'computed_trait' },
  from: number | null,
  to: number,
): Promise<VersionDiff> {
  const rows = await selectRows<VersionDiff>(
    context.clickhouse,
    computation.kind === 'audience'
      ? `WITH ${membersBeforeAndAfterSql}
         SELECT toUInt32(bitmapAndnotCardinality(after, before)) AS entered,
                toUInt32(bitmapAndnotCardinality(before, after)) AS exited,
                toUInt32(0) AS changed`
      : `SELECT toUInt32(countIf(before = '')) AS entered,
                toUInt32(countIf(after = '')) AS exited,
                toUInt32(countIf(before != '' AND after != '' AND before != after)) AS changed
         FROM (${valuesBeforeAndAfterSql})`,
    // Versions begin at 1, so 0 is one that has no rows.
    { space: computation.spaceId, computation: computation.id, from: from ?? 0, to },
    context,
  );
  return rows[0] ?? { entered: 0, exited: 0, changed: 0 };
}

const SPACE = '{space:String}';
const versionOf = (param: 'from' | 'to'): string =>
  `computation_id = {computation:String} AND version = {${param}:UInt64}`;

/** The members of two versions of an audience as common table expressions: the bitmaps `before` and `after`, by person. */
export const membersBeforeAndAfterSql = `(${mergedBitmapSql(SPACE)}) AS merged,
    ${membersBitmapSql('before', versionOf('from'), SPACE, 'merged')},
    ${membersBitmapSql('after', versionOf('to'), SPACE, 'merged')}`;

const valuesOf = (param: 'from' | 'to'): string => computedTraitSql(traitVersionSql(versionOf(param)), SPACE);

/** The values of two versions of a computed trait, one row a person: `profile`, `before` and `after`, '' for none. */
export const valuesBeforeAndAfterSql = `SELECT profile, max(from_value) AS before, max(to_value) AS after
    FROM (
      SELECT owner AS profile, value AS from_value, '' AS to_value FROM (${valuesOf('from')})
      UNION ALL
      SELECT owner AS profile, '' AS from_value, value AS to_value FROM (${valuesOf('to')})
    )
    GROUP BY profile`;
