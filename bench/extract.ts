import { freezeChanges, keepBaselineBitmaps, nextVersion, type QueryContext } from '../src/compute/index.ts';
import { createClickHouse } from '../src/store/index.ts';
import { startBenchEngines, type BenchEngines } from './engines.ts';
import { median, type Figure } from './figure.ts';
import { insertAudienceVersion, insertPeople } from './fill.ts';

const PEOPLE = 1_000_000;
const CHANGES = 10;
const RUNS = 5;
const SPACE = 'bench';
const MIB = 1024 * 1024;

/**
 * What it takes to freeze the ten changes of an audience of a million, against freezing a million: the time, and the least memory
 * that a statement may be given for it to succeed. To reach: a ratio of at most 0.05 for both, because a sync's cost follows its
 * changes. In the notes the same for a computed trait, whose values are compared by hashes of all of them.
 */
export async function extract(): Promise<Figure> {
  const engines = await startBenchEngines();
  try {
    await insertPeople(engines.clickhouse, SPACE, PEOPLE);
    const audience = await measure(engines, 'audience');
    const trait = await measure(engines, 'computed_trait');
    return {
      name: 'extract',
      unit: 'ms',
      ours: audience.few.ms,
      reference: audience.all.ms,
      ratio: audience.few.ms / audience.all.ms,
      runs: RUNS,
      notes: {
        'memory of ten changes': `${audience.few.mib} MiB`,
        'memory of a million': `${audience.all.mib} MiB`,
        'ratio of memory': (audience.few.mib / audience.all.mib).toFixed(3),
        'computed trait': `${Math.round(trait.few.ms)} ms and ${trait.few.mib} MiB of ${Math.round(trait.all.ms)} ms and ${trait.all.mib} MiB`,
      },
    };
  } finally {
    await engines.stop();
  }
}

interface Cost {
  ms: number;
  mib: number;
}

/** The cost of an extract of a few changes, and of one of all, each of a connection of its own. */
async function measure(engines: BenchEngines, kind: 'audience' | 'computed_trait'): Promise<{ few: Cost; all: Cost }> {
  const { clickhouse, pool } = engines;
  const context = { clickhouse };
  const first = await makeVersion(engines, kind, 0);
  const second = await makeVersion(engines, kind, PEOPLE / CHANGES);
  const synced = { id: `synced-${kind}`, spaceId: SPACE, computationId: kind, kind, version: second };
  // The first sync took all there was.
  await clickhouse.command({
    query:
      kind === 'audience'
        ? `INSERT INTO baselines (connection_id, profile, value, seq, noted)
           SELECT {connection:String}, number + 1, 'true', 1, 1 FROM numbers({people:UInt32})`
        : `INSERT INTO baselines (connection_id, profile, value, seq, noted)
           SELECT {connection:String}, profile, value, 1, 1
           FROM trait_versions ARRAY JOIN profiles AS profile, values AS value WHERE version = {version:UInt64}`,
    query_params: { connection: synced.id, people: PEOPLE, version: first },
  });
  const since = kind === 'audience' ? await nextVersion(pool) : 0;
  if (kind === 'audience') await keepBaselineBitmaps(context, synced.id, { since: 0, noted: since });
  const fresh = { ...synced, id: `fresh-${kind}`, version: first };
  return {
    few: await costOf(engines, CHANGES, async (bounded) => {
      return await freezeChanges(bounded, synced, await nextVersion(pool), 'difference', since);
    }),
    all: await costOf(engines, PEOPLE, async (bounded) => await freezeChanges(bounded, fresh, await nextVersion(pool))),
  };
}

async function costOf(
  engines: BenchEngines,
  expected: number,
  freeze: (context: QueryContext) => ReturnType<typeof freezeChanges>,
): Promise<Cost> {
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const from = performance.now();
    const { changes } = await freeze({ clickhouse: engines.clickhouse });
    if (changes !== expected) throw new Error(`${changes} changes, not ${expected}`);
    times.push(performance.now() - from);
  }
  let mib = 1;
  while (!(await fits(engines, mib, freeze))) mib = Math.ceil(mib * 1.25);
  return { ms: median(times), mib };
}

/** Whether an extract succeeds where each of its statements may use so much memory. */
async function fits(
  { clickhouseUrl }: BenchEngines,
  mib: number,
  freeze: (context: QueryContext) => ReturnType<typeof freezeChanges>,
): Promise<boolean> {
  const bounded = createClickHouse({
    url: `${clickhouseUrl}?clickhouse_setting_max_memory_usage=${mib * MIB}`,
    applicationName: 'trailmark-bench',
  });
  try {
    await freeze({ clickhouse: bounded });
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === '241') return false;
    throw error;
  } finally {
    await bounded.close();
  }
}

/** A version of everybody; where `every` is given, every so many-th of them is out of it, or has another value. */
async function makeVersion(
  { clickhouse, pool }: BenchEngines,
  kind: 'audience' | 'computed_trait',
  every: number,
): Promise<number> {
  const version = await nextVersion(pool);
  if (kind === 'audience') {
    await insertAudienceVersion(clickhouse, { computation: kind, version, people: PEOPLE, without: every });
    return version;
  }
  const isOther = every === 0 ? '0' : 'number % {every:UInt32} = 7';
  await clickhouse.command({
    query: `INSERT INTO trait_versions (computation_id, version, bucket, profiles, values)
            SELECT {kind:String}, {version:UInt64}, toUInt16(intDiv(number + 1, 65536)) AS bucket,
                   groupArray(toUInt32(number + 1)), groupArray(toString(if(${isOther}, 1, number * 7)))
            FROM numbers({people:UInt32}) GROUP BY bucket`,
    query_params: { kind, version, people: PEOPLE, every },
  });
  return version;
}
