import fc from 'fast-check';
import type { ClickHouseClient } from '../../src/store/index.ts';
import { ExactNumber } from '../../src/exact-json.ts';
import { storedJson } from '../../src/stored-json.ts';
import type { Json, TraitResolver, World, WorldEvent } from '../../src/query/index.ts';

/**
 * Random worlds: small, and made of values chosen to collide. What two implementations disagree about is rarely in the
 * middle of a range, so timestamps sit on windows' edges, numbers come as strings and strings as numbers, and names are few.
 */
export const AS_OF = new Date('2024-05-15T13:30:00.000Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export const EVENT_NAMES = ['A', 'A', 'A', 'B', "it's \\ odd"];
export const FIELD_PATHS = ['p', 'p', 'p', 'q', 'o.a', String.raw`o.x\.y`, 'o', 'o.0', 'gone'];
export const TRAIT_PATHS = ['t', 't', 'u', 'o.a', 'member', 'computed', 'gone'];
export const SOURCE_IDS = ['src_1', 'src_2'];

const PLAIN = [
  '',
  'abc',
  'ABC',
  'b',
  'null',
  'true',
  'é€😀',
  '\uFFFD',
  'a/b',
  'say "x"',
  "it's",
  'back\\slash',
  'x\ny\tz',
];
const ALMOST_NUMBERS = [
  '1',
  '1.0',
  '+1',
  '10',
  '2.50',
  '-3',
  '+5',
  '007',
  '1e3',
  ' 5',
  '5.',
  '.5',
  '0x10',
  '0.00000000001',
  '9'.repeat(29),
];
// What a text looks like that is made to be taken for a stored number.
const MARKED = ['\uFDD0', '\uFDD05', '"\uFDD05', '\uFDD0\uFDD17'];
export const STRINGS = [...PLAIN, ...ALMOST_NUMBERS];

const DAYS = ['2024-05-15', '2024-05-14', '2024-05-16', '2024-05-08', '2024-05-22', '2024-05-23', '2024-05-07'];
const EQUAL_INSTANTS = [
  '2024-05-15T13:30:00Z',
  '2024-05-15 13:30',
  '2024-05-15T15:30:00+02:00',
  '2024-05-15T12:30:00-0100',
];
const EDGES = [
  '2024-05-15T12:30:00.000Z',
  '2024-05-15T12:29:59.999Z',
  '2024-05-15T14:30',
  '2024-05-15T14:30:00.001-00:00',
];
export const DATES = [...DAYS, ...EQUAL_INSTANTS, ...EDGES, '1900-01-01', '2299-12-31'];
const NOT_DATES = ['2024-02-30', '2024-13-01', '2024-05-15T24:00:00Z', '1899-12-31', '2024-5-1', '20240515'];
const COMMON = [0, 1, 1, 1, 2, 2, 2, 3, 5];
/** What a double does not hold, or JavaScript and ClickHouse spell in their own ways. */
const EXACT_NUMBERS = [
  '9007199254740993',
  '9007199254740992.5',
  '9223372036854775808',
  '-9223372036854775809',
  '18446744073709551615',
  '18446744073709551616',
  '1234567890123456789012345678',
  '12345678901234567890123456789',
  '0.1234567890123456789',
  '-0.00000000005',
  '1e-7',
  '1.50e-9',
  '1e21',
  '-1.5E+300',
  '1e400',
  '-2e-400',
];
export const NUMBERS = [
  ...COMMON,
  10,
  -3,
  1.5,
  2.5,
  0.1,
  0.2,
  0.30000000000000004,
  1e-7,
  1e-11,
  123456789.123,
  2 ** 53,
];

const exactArbitrary: fc.Arbitrary<Json> = fc.constantFrom(...EXACT_NUMBERS).map((source) => new ExactNumber(source));

const scalarArbitrary: fc.Arbitrary<Json> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom<Json>(...NUMBERS) },
  { weight: 2, arbitrary: exactArbitrary },
  { weight: 4, arbitrary: fc.constantFrom<Json>(...STRINGS, ...MARKED) },
  { weight: 2, arbitrary: fc.constantFrom<Json>(...DATES, ...EQUAL_INSTANTS, ...EQUAL_INSTANTS) },
  { weight: 1, arbitrary: fc.constantFrom<Json>(...NOT_DATES) },
  { weight: 1, arbitrary: fc.boolean() },
  { weight: 1, arbitrary: fc.constant(null) },
);

const jsonArbitrary: fc.Arbitrary<Json> = fc.oneof(
  { weight: 12, arbitrary: scalarArbitrary },
  { weight: 1, arbitrary: fc.array(scalarArbitrary, { maxLength: 3 }) },
  { weight: 2, arbitrary: fc.dictionary(fc.constantFrom('a', 'x.y', 'x'), scalarArbitrary, { maxKeys: 3 }) },
);

const propertiesArbitrary: fc.Arbitrary<Json> = fc.dictionary(fc.constantFrom('p', 'q', 'o'), jsonArbitrary, {
  maxKeys: 3,
  noNullPrototype: true,
});

/** Ages of events, in milliseconds before as-of; negative ones are in its future. */
const ageArbitrary = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(0, 1, HOUR, DAY) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      -DAY,
      -1,
      ...[HOUR, DAY, 7 * DAY, 10 * DAY].flatMap((edge) => [edge - 1, edge, edge + 1]),
    ),
  },
  { weight: 1, arbitrary: fc.integer({ min: -2 * HOUR, max: 12 * DAY }) },
);

// Enough that one definition meets many situations: a query costs the same over thirty profiles as over three.
const PROFILE_COUNT = 30;
const profileArbitrary = fc.integer({ min: 1, max: PROFILE_COUNT });

const eventArbitrary: fc.Arbitrary<WorldEvent> = fc.record({
  event: fc.constantFrom(...EVENT_NAMES),
  profile: profileArbitrary,
  timestampMs: ageArbitrary.map((age) => AS_OF.getTime() - age),
  // Few, so that first and last have ties to break down to the value.
  messageId: fc.constantFrom('m1', 'm2', 'm10', 'M1', 'é'),
  sourceId: fc.constantFrom(...SOURCE_IDS),
  properties: propertiesArbitrary,
  context: propertiesArbitrary,
});

/** Each profile stands, or is merged into a lower-numbered one that does. */
const profilesArbitrary = fc
  .array(fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat() }), {
    minLength: PROFILE_COUNT,
    maxLength: PROFILE_COUNT,
  })
  .map((choices) => {
    const standing: number[] = [];
    return choices.map((choice, index) => {
      const profile = index + 1;
      const target = choice === null || standing.length === 0 ? 0 : (standing[choice % standing.length] ?? 0);
      if (target === 0) standing.push(profile);
      return { profile, mergedInto: target };
    });
  });

const traitsArbitrary = fc
  .array(fc.record({ profile: profileArbitrary, trait: fc.constantFrom('t', 'u', 'o'), value: jsonArbitrary }), {
    maxLength: 90,
    size: 'max',
  })
  .chain((rows) =>
    fc
      .shuffledSubarray(
        rows.map((_, index) => index + 1),
        { minLength: rows.length },
      )
      .map((versions) => rows.map((row, index) => ({ ...row, version: versions[index] ?? 0 }))),
  );

const membersArbitrary = fc.uniqueArray(profileArbitrary, { maxLength: PROFILE_COUNT });
const computedArbitrary = fc.uniqueArray(
  fc.tuple(
    profileArbitrary,
    jsonArbitrary.filter((json) => json !== null),
  ),
  { maxLength: PROFILE_COUNT, selector: ([profile]) => profile },
);

export const worldArbitrary: fc.Arbitrary<World> = fc
  .record({
    profiles: profilesArbitrary,
    events: fc.array(eventArbitrary, { minLength: 40, maxLength: 150, size: 'max' }),
    traits: traitsArbitrary,
    members: fc.tuple(membersArbitrary, membersArbitrary),
    computed: fc.tuple(computedArbitrary, computedArbitrary),
  })
  .map(({ members, computed, ...world }) => ({
    ...world,
    audienceVersions: members.map((row, index) => ({ computationId: 'aud', version: index + 1, members: row })),
    traitVersions: computed.map((values, index) => ({ computationId: 'trt', version: index + 1, values })),
  }));

/** Writes a world into the tables as a space of its own. Computations' ids are prefixed with the space's id. */
export async function insertWorld(clickhouse: ClickHouseClient, spaceId: string, world: World): Promise<void> {
  const timestamp = (ms: number) => new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
  const rows: Record<string, object[]> = {
    profiles: world.profiles.flatMap(({ profile, mergedInto }) => {
      const row = { space_id: spaceId, profile, user_id: `u${profile}`, anonymous_id: '' };
      // What a profile was before is still in the table, and must not count.
      return [
        { ...row, merged_into: mergedInto === 0 ? 1 : 0, version: 1 },
        { ...row, merged_into: mergedInto, version: 2 },
      ];
    }),
    events: world.events.map((event) => ({
      space_id: spaceId,
      type: 'track',
      event: event.event,
      profile: event.profile,
      timestamp: timestamp(event.timestampMs),
      received_at: timestamp(AS_OF.getTime()),
      source_id: event.sourceId,
      message_id: event.messageId,
      properties: storedJson(event.properties),
      context: storedJson(event.context),
    })),
    profile_traits: world.traits.map((row) => ({
      ...row,
      space_id: spaceId,
      value: storedJson(row.value),
      timestamp: timestamp(AS_OF.getTime()),
    })),
    trait_versions: world.traitVersions.map(({ computationId, version, values }) => ({
      computation_id: spaceId + computationId,
      version,
      bucket: 0,
      profiles: values.map(([profile]) => profile),
      values: values.map(([, value]) => storedJson(value)),
    })),
  };
  for (const [table, values] of Object.entries(rows)) {
    if (values.length > 0) await clickhouse.insert({ table, values, format: 'JSONEachRow' });
  }
  for (const { computationId, version, members } of world.audienceVersions) {
    await clickhouse.command({
      query:
        'INSERT INTO audience_versions (computation_id, version, members) SELECT {id:String}, {version:UInt64}, groupBitmapState(arrayJoin({members:Array(UInt32)}))',
      query_params: { id: spaceId + computationId, version, members: [...members] },
    });
  }
}

/** `member` is an audience and `computed` a computed trait, both in their second version; all else are profiles' traits. */
export function resolverOf(prefix: string): TraitResolver {
  return (name) => {
    if (name === 'member') return { from: 'audience', computationId: `${prefix}aud`, version: 2 };
    if (name === 'computed') return { from: 'computed_trait', computationId: `${prefix}trt`, version: 2 };
    return { from: 'profile' };
  };
}
