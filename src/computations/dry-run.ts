import { ClickHouseError } from '@clickhouse/client';
import { RequestError } from '../errors.ts';
import { parseJson } from '../exact-json.ts';
import { storedToJson } from '../stored-json.ts';
import { compileAudience, compileTrait, parseQuery, type QueryContext } from '../query/index.ts';
import type { ClickHouseClient, Queryable } from '../store/index.ts';
import { checkDefinition, refuseCycle, resolveTraits, type Definition } from './definition.ts';
import type { ComputationKind } from './computations.ts';
import { readLiveTraits, resolverOf } from './pin.ts';
import {
  computedTraitSql,
  membersBitmapSql,
  mergedBitmapSql,
  readProfileIds,
  traitVersionSql,
  type ProfileIds,
} from '../profiles/index.ts';

/** What a dry run may take: it is answered while somebody waits, and must not take ClickHouse from the runs. */
export const DRY_RUN_SECONDS = 30;

const EXAMPLES = 20;
// ClickHouse's codes of a query that was stopped: by max_execution_time, or for being too slow to keep it.
const STOPPED_BY_TIME = new Set(['159', '160']);
const STOPPED_BY_MEMORY = '241';

export interface DryRunInput {
  workspaceId: string;
  spaceId: string;
  kind: ComputationKind;
  definition: Definition;
  /** The computation that would have this definition; null for one that is not there yet. */
  computation: { id: string; key: string; liveVersion: number | null; liveAsOf: Date | null } | null;
}

/** One profile as an example. Values are a computed trait's, or true for a member of an audience; null is none. */
interface DryRunExample extends ProfileIds {
  before: unknown;
  after: unknown;
}

/** What a definition would change. Counts are of profiles: members of an audience, or those that have a value of a trait. */
export interface DryRun {
  /** Events after it are not seen. */
  asOf: Date;
  /** The live version that it is compared with; null where there is none, and everything would enter. */
  comparedWith: { version: number; asOf: Date | null } | null;
  before: number;
  after: number;
  entered: number;
  exited: number;
  /** Of those in both, for a computed trait: whose value would be another. */
  changed: number;
  unchanged: number;
  /** Up to 20 of each, in the order of their profiles. */
  examples: { entered: DryRunExample[]; exited: DryRunExample[]; changed: DryRunExample[] };
}

/**
 * Says what a definition would change as of now, and changes nothing: it only selects. What a run would write down (a version,
 * a task, the trail) is not written. The difference is to the live version, so it is what the next run would do: new events
 * since then are in it as well as the new definition.
 *
 * Throws RequestError `definition_invalid`, `definition_cycle`, or `dry_run_too_long` and `dry_run_too_big` (400,
 * definition.query) where ClickHouse would need more than a dry run may take.
 */
export async function dryRun(
  stores: { pool: Queryable; clickhouse: ClickHouseClient },
  input: DryRunInput,
  options: { signal?: AbortSignal; maxSeconds?: number } = {},
): Promise<DryRun> {
  const references = checkDefinition(input.definition, input.kind);
  const { computation, spaceId } = input;
  const computed = await resolveTraits(stores.pool, spaceId, references, computation?.id ?? null);
  if (computation !== null) {
    const leadsTo = references.includes(computation.key) ? [computation.key, ...computed] : computed;
    await refuseCycle(stores.pool, spaceId, computation.key, leadsTo);
  }
  const { asOf, traits } = await readLiveTraits(stores.pool, {
    spaceId,
    names: computed,
    exceptId: computation?.id ?? null,
  });
  const context: QueryContext = { spaceId, asOf, traits: resolverOf(traits) };
  const compared = await compare(stores.clickhouse, input, context, options);
  const withIds = await nameExamples(stores.clickhouse, spaceId, compared);
  return {
    asOf,
    comparedWith:
      computation?.liveVersion == null ? null : { version: computation.liveVersion, asOf: computation.liveAsOf },
    before: compared.before,
    after: compared.after,
    entered: compared.entered,
    exited: compared.exited,
    changed: compared.changed,
    unchanged: compared.after - compared.entered - compared.changed,
    examples: {
      entered: compared.entering.map(withIds),
      exited: compared.exiting.map(withIds),
      changed: compared.changing.map(withIds),
    },
  };
}

/** A profile, its value before and its value after: JSON, '' for none. */
type ExampleRow = [profile: number, before: string, after: string];

interface Comparison {
  before: number;
  after: number;
  entered: number;
  exited: number;
  changed: number;
  entering: ExampleRow[];
  exiting: ExampleRow[];
  changing: ExampleRow[];
}

async function compare(
  clickhouse: ClickHouseClient,
  { kind, definition, computation }: DryRunInput,
  context: QueryContext,
  { signal, maxSeconds = DRY_RUN_SECONDS }: { signal?: AbortSignal; maxSeconds?: number },
): Promise<Comparison> {
  const query = parseQuery(definition.query);
  const { sql, params } = kind === 'audience' ? compileAudience(query, context) : compileTrait(query, context);
  signal?.throwIfAborted();
  try {
    const result = await clickhouse.query({
      query: kind === 'audience' ? audienceSql(sql) : traitSql(sql),
      query_params: {
        ...params,
        space: context.spaceId,
        // Versions begin at 1, so 0 is one that has no rows.
        computation: computation?.id ?? '',
        version: computation?.liveVersion ?? 0,
        examples: EXAMPLES,
      },
      format: 'JSONEachRow',
      clickhouse_settings: { max_execution_time: maxSeconds, timeout_overflow_mode: 'throw' },
      ...(signal === undefined ? {} : { abort_signal: signal }),
    });
    const [row] = await result.json<Comparison>();
    if (row === undefined) throw new Error('a select without a group gave no row');
    return row;
  } catch (error) {
    throw stoppedQuery(error, maxSeconds) ?? error;
  }
}

const SPACE = '{space:String}';
const VERSION = 'computation_id = {computation:String} AND version = {version:UInt64}';

function audienceSql(members: string): string {
  return `WITH
      (SELECT members FROM (${members})) AS new_members,
      (${mergedBitmapSql(SPACE)}) AS merged,
      ${membersBitmapSql('live_members', VERSION, SPACE, 'merged')},
      bitmapAndnot(new_members, live_members) AS entering_members,
      bitmapAndnot(live_members, new_members) AS exiting_members
    SELECT toUInt32(bitmapCardinality(live_members)) AS before,
           toUInt32(bitmapCardinality(new_members)) AS after,
           toUInt32(bitmapCardinality(entering_members)) AS entered,
           toUInt32(bitmapCardinality(exiting_members)) AS exited,
           toUInt32(0) AS changed,
           ${firstOf('entering_members', `'', 'true'`)} AS entering,
           ${firstOf('exiting_members', `'true', ''`)} AS exiting,
           CAST([], 'Array(Tuple(UInt32, String, String))') AS changing`;
}

// Sorted, because a bitmap of few members gives them in any order.
function firstOf(members: string, values: string): string {
  return `arrayMap(profile -> (profile, ${values}), arraySort(bitmapToArray(bitmapSubsetLimit(${members}, toUInt32(0), {examples:UInt32}))))`;
}

function traitSql(values: string): string {
  const first = (condition: string): string =>
    `groupArraySortedIf(${EXAMPLES})((profile, value_before, value_after), ${condition})`;
  const entered = `value_before = ''`;
  const exited = `value_after = ''`;
  const changed = `value_before != '' AND value_after != '' AND value_before != value_after`;
  return `SELECT toUInt32(countIf(value_before != '')) AS before,
           toUInt32(countIf(value_after != '')) AS after,
           toUInt32(countIf(${entered})) AS entered,
           toUInt32(countIf(${exited})) AS exited,
           toUInt32(countIf(${changed})) AS changed,
           ${first(entered)} AS entering,
           ${first(exited)} AS exiting,
           ${first(changed)} AS changing
    FROM (
      SELECT profile, max(live_value) AS value_before, max(new_value) AS value_after
      FROM (
        SELECT profile, '' AS live_value, value AS new_value FROM (${values})
        UNION ALL
        SELECT owner AS profile, value AS live_value, '' AS new_value FROM (${computedTraitSql(traitVersionSql(VERSION), SPACE)})
      )
      GROUP BY profile
    )`;
}

async function nameExamples(
  clickhouse: ClickHouseClient,
  spaceId: string,
  { entering, exiting, changing }: Comparison,
): Promise<(row: ExampleRow) => DryRunExample> {
  const profiles = [...entering, ...exiting, ...changing].map(([profile]) => profile);
  const idsOf = await readProfileIds(clickhouse, spaceId, profiles);
  return ([profile, before, after]) => ({ ...idsOf(profile), before: valueOf(before), after: valueOf(after) });
}

function valueOf(json: string): unknown {
  return json === '' ? null : parseJson(storedToJson(json));
}

/** The refusal that a stopped query means; undefined for any other error. */
function stoppedQuery(error: unknown, maxSeconds: number): RequestError | undefined {
  if (!(error instanceof ClickHouseError)) return undefined;
  const refuse = (code: string, why: string): RequestError =>
    new RequestError(
      'invalid',
      code,
      `${why} Nothing was changed. Make the definition look at less, by within(30 days) for instance; a run may take longer than a dry run.`,
      { field: 'definition.query', cause: error },
    );
  if (STOPPED_BY_TIME.has(error.code)) {
    return refuse('dry_run_too_long', `The dry run was stopped because it took longer than ${maxSeconds} s.`);
  }
  if (error.code === STOPPED_BY_MEMORY) {
    return refuse('dry_run_too_big', 'The dry run needed more memory than ClickHouse may use.');
  }
  return undefined;
}
