import { DECIMAL_SCALE, decimalOfInteger } from '../values/decimal.ts';
import type { Reducer, Scalar } from '../plan.ts';
import { valueOfDecimal, type Value } from '../values/value.ts';
import type { SqlParams } from './params.ts';
import { EventRows } from './event-rows.ts';
import { traitSql, type SqlContext } from './sources.ts';
import { storedToJsonSql } from './stored-json-sql.ts';
import { countSqlValue, decimalSqlValue, jsonSqlValue, textSqlValue, type SqlValue } from './sql-value.ts';

/**
 * A value of each profile: `sql` selects `owner` and `value` for those profiles that have a trait or events to reduce, and
 * `empty` is the value of all others. Where a join finds no row, ClickHouse fills in the column's default, and each of the
 * columns here is such that its default (0, '', NULL) means `empty`.
 */
export interface ProfileValues {
  readonly sql: string;
  /** Whether the value is JSON; then `sql` also selects `stored`, its stored form. */
  readonly isJson: boolean;
  readonly valueIn: (column: string, params: SqlParams) => SqlValue;
  readonly empty: Value | null;
}

export function profileValues(scalar: Scalar & { kind: 'trait' | 'reduction' }, context: SqlContext): ProfileValues {
  if (scalar.kind === 'trait') {
    return { sql: traitSql(scalar, context), isJson: true, valueIn: jsonValueIn, empty: null };
  }
  const rows = new EventRows(context);
  const { aggregate, valueIn, empty } = aggregateOf(scalar.reducer, rows, context);
  const events = rows.sql(scalar.event, scalar.filters);
  const isJson = valueIn === jsonValueIn;
  const value = isJson ? `${aggregate} AS stored, ${storedToJsonSql('stored')} AS value` : `${aggregate} AS value`;
  return { sql: `SELECT owner, ${value} FROM (${events}) GROUP BY owner`, isJson, valueIn, empty };
}

/** Of a column `v.value`, what is stored of it is `v.stored`; a join's other columns are only compared. */
function jsonValueIn(column: string, params: SqlParams): SqlValue {
  return jsonSqlValue(column, params, column.replace(/value$/, 'stored'));
}

interface Aggregate extends Omit<ProfileValues, 'sql' | 'isJson'> {
  readonly aggregate: string;
}

/** The counterpart of `reduce` in reducers.ts, where the rules are explained. */
function aggregateOf(reducer: Reducer, rows: EventRows, { params }: SqlContext): Aggregate {
  const none = valueOfDecimal(decimalOfInteger(0));
  if (reducer.kind === 'count') return { aggregate: 'count()', valueIn: countSqlValue, empty: none };
  const { exists, text, number, json, plainJson } = rows.field(reducer.of);
  switch (reducer.kind) {
    case 'sum':
      return { aggregate: sumOf(number), valueIn: decimalSqlValue, empty: null };
    case 'avg':
      // Without a number the sum is NULL, whatever it is divided by; by 0 it would be an error all the same.
      return { aggregate: `${sumOf(number)} / greatest(count(${number}), 1)`, valueIn: decimalSqlValue, empty: null };
    case 'max':
    case 'min':
      return reducer.as === 'string'
        ? { aggregate: `${reducer.kind}(${text})`, valueIn: textSqlValue, empty: null }
        : { aggregate: `${reducer.kind}(${number})`, valueIn: decimalSqlValue, empty: null };
    case 'mode': {
      // sumMap counts all values of a profile in one state, sorted by value: far cheaper than grouping by profile and
      // value first. The first of the greatest counts is the lowest of the most frequent values.
      const counts = `sumMapIf([ifNull(${text}, '')], [toUInt64(1)], ${exists})`;
      const best = `arrayMax(tupleElement(${counts}, 2))`;
      const aggregate = `if(${best} >= ${params.bind('UInt64', reducer.minFrequency)}, tupleElement(${counts}, 1)[indexOf(tupleElement(${counts}, 2), ${best})], NULL)`;
      return { aggregate, valueIn: textSqlValue, empty: null };
    }
    case 'first':
      return {
        aggregate: `argMinIf(${json}, (timestamp, message_id, ${plainJson}), ${exists})`,
        valueIn: jsonValueIn,
        empty: null,
      };
    case 'last':
      return {
        aggregate: `argMaxIf(${json}, (timestamp, message_id, ${plainJson}), ${exists})`,
        valueIn: jsonValueIn,
        empty: null,
      };
    case 'unique': {
      const items = `groupUniqArrayIf(${json}, ${exists})`;
      const list = `concat('[', arrayStringConcat(arraySort(item -> ${storedToJsonSql('item')}, ${items}), ','), ']')`;
      return { aggregate: `if(empty(${items}), '', ${list})`, valueIn: jsonValueIn, empty: null };
    }
    case 'unique_count':
      return { aggregate: `uniqExactIf(${json}, ${exists})`, valueIn: countSqlValue, empty: none };
    default:
      return reducer satisfies never;
  }
}

/** In 256 bits, where no number of rows can overflow it. */
function sumOf(number: string): string {
  return `sum(CAST(${number}, 'Nullable(Decimal(76, ${DECIMAL_SCALE}))'))`;
}
