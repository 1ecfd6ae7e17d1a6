import type { Query } from './ast.ts';
import { checkQuery } from './check.ts';
import { holds } from './comparators.ts';
import type { QueryContext } from './context.ts';
import type { Condition, Filter, Scalar } from './plan.ts';
import { reduce } from './reducers.ts';
import { jsonAt, jsonOfValue, valueOfJson, type Json, type Value } from './values/value.ts';

/** The events, profiles and traits of one space, as the tables in ClickHouse have them, in memory. */
export interface World {
  /** `mergedInto` is 0 for a profile that stands, and is fully resolved otherwise. */
  readonly profiles: readonly { readonly profile: number; readonly mergedInto: number }[];
  readonly events: readonly WorldEvent[];
  /** Every write of a trait; the one with the highest version counts. A null takes the trait away. */
  readonly traits: readonly {
    readonly profile: number;
    readonly trait: string;
    readonly value: Json;
    readonly version: number;
  }[];
  readonly audienceVersions: readonly {
    readonly computationId: string;
    readonly version: number;
    readonly members: readonly number[];
  }[];
  readonly traitVersions: readonly {
    readonly computationId: string;
    readonly version: number;
    readonly values: readonly (readonly [profile: number, value: Json])[];
  }[];
}

export interface WorldEvent {
  readonly event: string;
  readonly profile: number;
  readonly timestampMs: number;
  readonly messageId: string;
  readonly sourceId: string;
  readonly properties: Json;
  readonly context: Json;
}

type EvaluationContext = Pick<QueryContext, 'asOf' | 'traits'>;

/**
 * The reference: what a definition means, written to be read, over worlds small enough to hold. The compiled SQL has to
 * give the same, and a property test compares them on the engine. Takes what compileAudience takes, and returns the
 * members in ascending order.
 */
export function evaluateAudience(query: Query, context: EvaluationContext, world: World): number[] {
  const plan = checkQuery(query, { kind: 'audience', definitionType: 'USERS' });
  return standingProfiles(world, context)
    .filter((profile) => profile.satisfies(plan.condition, null))
    .map(({ profile }) => profile);
}

/** The same for computed traits: profile to value as JSON text. A profile without a value is not in it. */
export function evaluateTrait(query: Query, context: EvaluationContext, world: World): Map<number, string> {
  const plan = checkQuery(query, { kind: 'computed_trait', definitionType: 'USERS' });
  const values = new Map<number, string>();
  for (const profile of standingProfiles(world, context)) {
    // A count of nothing compares as 0, but is no trait: a trait row for everyone who never did it says nothing.
    if (plan.value.kind === 'reduction' && profile.eventsOf(plan.value.event, plan.value.filters).length === 0)
      continue;
    const value = profile.valueOf(plan.value, null);
    if (value !== null) values.set(profile.profile, jsonOfValue(value));
  }
  return values;
}

function standingProfiles(world: World, context: EvaluationContext): StandingProfile[] {
  return world.profiles
    .filter(({ mergedInto }) => mergedInto === 0)
    .map(({ profile }) => profile)
    .sort((a, b) => a - b)
    .map((profile) => new StandingProfile(profile, world, context));
}

/** A profile that was not merged away, with everything of those that were merged into it. */
class StandingProfile {
  readonly profile: number;
  readonly #world: World;
  readonly #asOfMs: number;
  readonly #context: EvaluationContext;
  readonly #numbers: ReadonlySet<number>;

  constructor(profile: number, world: World, context: EvaluationContext) {
    this.profile = profile;
    this.#world = world;
    this.#context = context;
    this.#asOfMs = context.asOf.getTime();
    const merged = world.profiles.filter(({ mergedInto }) => mergedInto === profile);
    this.#numbers = new Set([profile, ...merged.map((other) => other.profile)]);
  }

  satisfies(condition: Condition, event: WorldEvent | null): boolean {
    switch (condition.kind) {
      case 'and':
        return condition.operands.every((operand) => this.satisfies(operand, event));
      case 'or':
        return condition.operands.some((operand) => this.satisfies(operand, event));
      case 'not':
        return !this.satisfies(condition.operand, event);
      case 'comparison': {
        const { subject, test } = condition;
        const operand = 'operand' in test ? this.valueOf(test.operand, event) : null;
        return holds(test, this.valueOf(subject, event), operand, this.#asOfMs);
      }
      default:
        return condition satisfies never;
    }
  }

  valueOf(scalar: Scalar, event: WorldEvent | null): Value | null {
    switch (scalar.kind) {
      case 'literal':
        return scalar.value;
      case 'trait':
        return valueOfJson(jsonAt(this.#trait(scalar.name), scalar.path));
      case 'property':
      case 'context':
        return event === null ? null : fieldOf(event, scalar);
      case 'reduction':
        return reduce(scalar.reducer, this.eventsOf(scalar.event, scalar.filters), fieldOf);
      default:
        return scalar satisfies never;
    }
  }

  eventsOf(name: string, filters: readonly Filter[]): WorldEvent[] {
    return this.#world.events.filter(
      (event) =>
        event.event === name &&
        this.#numbers.has(event.profile) &&
        event.timestampMs <= this.#asOfMs &&
        filters.every((filter) => this.#passes(event, filter)),
    );
  }

  #passes(event: WorldEvent, filter: Filter): boolean {
    switch (filter.kind) {
      case 'where':
        return this.satisfies(filter.condition, event);
      case 'exclude_sources':
        return !filter.sourceIds.includes(event.sourceId);
      case 'age': {
        const ageMs = this.#asOfMs - event.timestampMs;
        return ageMs >= filter.newestMs && ageMs < filter.oldestMs;
      }
      default:
        return filter satisfies never;
    }
  }

  #trait(name: string): Json | undefined {
    const place = this.#context.traits(name);
    if (place.from === 'profile') {
      return this.#world.traits
        .filter((row) => row.trait === name && this.#numbers.has(row.profile))
        .reduce<World['traits'][number] | null>(
          (latest, row) => (latest === null || row.version > latest.version ? row : latest),
          null,
        )?.value;
    }
    const isVersion = (row: { computationId: string; version: number }) =>
      row.computationId === place.computationId && row.version === place.version;
    if (place.from === 'audience') {
      const members = this.#world.audienceVersions.find(isVersion)?.members ?? [];
      return members.some((member) => this.#numbers.has(member)) ? true : undefined;
    }
    // Two profiles that were merged since may both have a value: the standing one's counts, then the lowest number's.
    return this.#world.traitVersions
      .find(isVersion)
      ?.values.filter(([profile]) => this.#numbers.has(profile))
      .sort(([a], [b]) => Number(a !== this.profile) - Number(b !== this.profile) || a - b)[0]?.[1];
  }
}

function fieldOf(event: WorldEvent, field: { kind: 'property' | 'context'; path: readonly string[] }): Value | null {
  return valueOfJson(jsonAt(field.kind === 'property' ? event.properties : event.context, field.path));
}
