import type { Condition, EventField, Filter, Scalar } from '../plan.ts';
import { TRUE, all } from './boolean.ts';
import { conditionSql } from './condition-sql.ts';
import { withOwnersSql } from '../../profiles/index.ts';
import { eventFieldSql, spaceOf, traitSql, type SqlContext } from './sources.ts';
import { storedToJsonSql } from './stored-json-sql.ts';
import { jsonSqlValue, literalSqlValue, type SqlValue } from './sql-value.ts';

/**
 * The events of a reduction, as rows: `owner`, `timestamp`, `message_id`, and a column `f0`, `f1` … for each property or
 * context path that something asks for, its JSON text, and `f0_stored` with its stored form. The filters that look at the event
 * alone stand at the table, where the primary key (space, event, profile, timestamp) and the fewest columns serve them; those that
 * look at the profile's traits too come after the owner is known and the traits are joined.
 */
export class EventRows {
  readonly #context: SqlContext;
  readonly #fields = new Map<string, string>();
  readonly #traits = new Map<string, string>();

  constructor(context: SqlContext) {
    this.#context = context;
  }

  /** The field as a value of each row. */
  field(field: EventField): SqlValue {
    const alias = aliasIn(this.#fields, eventFieldSql(field, this.#context.params), 'f');
    return jsonSqlValue(alias, this.#context.params, `${alias}_stored`);
  }

  sql(event: string, filters: readonly Filter[]): string {
    const { params, spaceId } = this.#context;
    const atTable = [
      `space_id = ${params.bind('String', spaceId)}`,
      `event = ${params.bind('String', event)}`,
      `timestamp <= ${this.#instant(0)}`,
    ];
    const afterJoin: string[] = [];
    for (const filter of filters) {
      const target = filter.kind === 'where' && readsTraits(filter.condition) ? afterJoin : atTable;
      target.push(this.#filterSql(filter));
    }
    const columns = [
      'profile',
      'timestamp',
      'message_id',
      ...[...this.#fields].map(
        ([sql, alias]) => `${sql} AS ${alias}_stored, ${storedToJsonSql(`${alias}_stored`)} AS ${alias}`,
      ),
    ];
    const rows = `SELECT ${columns.join(', ')} FROM events WHERE ${all(atTable)}`;
    const owned = withOwnersSql(rows, spaceOf(this.#context));
    if (afterJoin.length === 0) return owned;
    const joins = [...this.#traits].map(
      ([sql, alias]) => ` LEFT ANY JOIN (${sql}) AS ${alias} ON ${alias}.owner = e.owner`,
    );
    // By name: with more than one join, `e.*` would call its columns `e.owner` and so on.
    const ownedColumns = [
      'owner',
      'timestamp',
      'message_id',
      ...[...this.#fields.values()].flatMap((alias) => [alias, `${alias}_stored`]),
    ].map((name) => `e.${name} AS ${name}`);
    return `SELECT ${ownedColumns.join(', ')} FROM (${owned}) AS e${joins.join('')} WHERE ${all(afterJoin)}`;
  }

  #filterSql(filter: Filter): string {
    const { params } = this.#context;
    switch (filter.kind) {
      case 'where':
        return conditionSql(filter.condition, (scalar) => this.#value(scalar), this.#context);
      case 'exclude_sources':
        return `source_id NOT IN ${params.bind('Array(String)', filter.sourceIds)}`;
      case 'age':
        return all([
          filter.newestMs === 0 ? TRUE : `timestamp <= ${this.#instant(filter.newestMs)}`,
          `timestamp > ${this.#instant(filter.oldestMs)}`,
        ]);
      default:
        return filter satisfies never;
    }
  }

  #value(scalar: Scalar): SqlValue {
    switch (scalar.kind) {
      case 'literal':
        return literalSqlValue(scalar.value, this.#context.params);
      case 'property':
      case 'context':
        return this.field(scalar);
      case 'trait':
        return this.#traitValue(aliasIn(this.#traits, traitSql(scalar, this.#context), 't'));
      case 'reduction':
        throw new TypeError('the checker lets no event into a where');
      default:
        return scalar satisfies never;
    }
  }

  #traitValue(alias: string): SqlValue {
    return jsonSqlValue(`${alias}.value`, this.#context.params, `${alias}.stored`);
  }

  #instant(beforeAsOfMs: number): string {
    const { params, asOfMs } = this.#context;
    return `fromUnixTimestamp64Milli(${params.bind('Int64', asOfMs - beforeAsOfMs)}, 'UTC')`;
  }
}

function aliasIn(aliases: Map<string, string>, sql: string, prefix: string): string {
  const alias = aliases.get(sql) ?? `${prefix}${aliases.size}`;
  aliases.set(sql, alias);
  return alias;
}

function readsTraits(condition: Condition): boolean {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.operands.some(readsTraits);
    case 'not':
      return readsTraits(condition.operand);
    case 'comparison':
      return (
        condition.subject.kind === 'trait' || ('operand' in condition.test && condition.test.operand.kind === 'trait')
      );
    default:
      return condition satisfies never;
  }
}
