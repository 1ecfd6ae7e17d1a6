import { standingProfilesSql } from '../profiles/index.ts';
import type { Query } from './ast.ts';
import { checkQuery } from './check.ts';
import { holds } from './comparators.ts';
import type { QueryContext } from './context.ts';
import type { Condition, Scalar } from './plan.ts';
import { not } from './sql/boolean.ts';
import { SqlParams } from './sql/params.ts';
import { profileValues, type ProfileValues } from './sql/profile-values.ts';
import { spaceOf, type SqlContext } from './sql/sources.ts';
import { literalSqlValue } from './sql/sql-value.ts';
import { testSql } from './sql/test-sql.ts';

/** A SELECT without SETTINGS or FORMAT, fit to stand in parentheses, and the values of its parameters. */
export interface CompiledQuery {
  readonly sql: string;
  readonly params: Record<string, unknown>;
}

/**
 * An audience as SQL: one row with one column, `members`, an AggregateFunction(groupBitmap, UInt32) of profile numbers.
 *
 * Each comparison becomes one bitmap, which looks only at the events or the trait it asks about; AND, OR and NOT become
 * operations on bitmaps. A comparison that holds of a profile with nothing to compare (`count() = 0`) is turned around: its
 * bitmap has the profiles of which it does not hold, and the members are the others. So profiles without any event are
 * members where they should be, without a row for each of them. The bitmaps are scalar subqueries, computed one after the
 * other: an audience takes the memory of its largest comparison, not of all of them.
 *
 * Throws a QueryError if the definition does not pass checkQuery.
 */
export function compileAudience(query: Query, context: QueryContext): CompiledQuery {
  const { condition } = checkQuery(query, { kind: 'audience', definitionType: 'USERS' });
  const sqlContext = toSqlContext(context);
  const leaves = new Map<string, string>();
  const universe = `SELECT groupBitmapState(profile) FROM (${standingProfilesSql(spaceOf(sqlContext))})`;
  const members = `bitmapAnd(universe, ${bitmapSql(condition, leaves, sqlContext)})`;
  const bitmaps = [`(${universe}) AS universe`, ...[...leaves].map(([sql, name]) => `(${sql}) AS ${name}`)];
  return { sql: `WITH\n${bitmaps.join(',\n')}\nSELECT ${members} AS members`, params: sqlContext.params.values() };
}

/**
 * A computed trait as SQL: rows of `profile` (UInt32) and `value` (String, JSON text: a number, a string, true or false, a
 * list, or what else a property held). Profiles whose value is absent, and for counts those without an event to count, have
 * no row. Throws a QueryError if the definition does not pass checkQuery.
 */
export function compileTrait(query: Query, context: QueryContext): CompiledQuery {
  const plan = checkQuery(query, { kind: 'computed_trait', definitionType: 'USERS' });
  const sqlContext = toSqlContext(context);
  const values = profileValues(perProfile(plan.value), sqlContext);
  // Qualified: a bare `value` in the WHERE would be the SELECT's alias, and that exists always.
  const value = values.valueIn('v.value', sqlContext.params);
  const sql = `SELECT owner AS profile, ${value.json} AS value\nFROM (${values.sql}) AS v\nWHERE ${value.exists} AND owner IN (${standingProfilesSql(spaceOf(sqlContext))})`;
  return { sql, params: sqlContext.params.values() };
}

function toSqlContext(context: QueryContext): SqlContext {
  return { ...context, params: new SqlParams(), asOfMs: context.asOf.getTime() };
}

/** The members of a condition as an expression over named bitmaps, which it adds to `leaves`. */
function bitmapSql(condition: Condition, leaves: Map<string, string>, context: SqlContext): string {
  switch (condition.kind) {
    case 'and':
    case 'or': {
      const operation = condition.kind === 'and' ? 'bitmapAnd' : 'bitmapOr';
      return condition.operands
        .map((operand) => bitmapSql(operand, leaves, context))
        .reduce((left, right) => `${operation}(${left}, ${right})`);
    }
    case 'not':
      return `bitmapAndnot(universe, ${bitmapSql(condition.operand, leaves, context)})`;
    case 'comparison': {
      const { sql, isTurned } = leafSql(condition, context);
      const name = leaves.get(sql) ?? `comparison_${leaves.size}`;
      leaves.set(sql, name);
      return isTurned ? `bitmapAndnot(universe, ${name})` : name;
    }
    default:
      return condition satisfies never;
  }
}

/** The bitmap of one comparison. `isTurned`: it has the profiles of which the comparison does not hold. */
function leafSql(
  comparison: Condition & { kind: 'comparison' },
  context: SqlContext,
): { sql: string; isTurned: boolean } {
  const { test } = comparison;
  const subject = profileValues(perProfile(comparison.subject), context);
  const operand = 'operand' in test ? test.operand : null;
  const literal = operand?.kind === 'literal' ? operand.value : null;
  const other = operand === null || operand.kind === 'literal' ? null : profileValues(perProfile(operand), context);

  const isTurned = holds(test, subject.empty, literal ?? other?.empty ?? null, context.asOfMs);
  const operandValue =
    literal === null ? (other?.valueIn('operand', context.params) ?? null) : literalSqlValue(literal, context.params);
  const condition = testSql(test, subject.valueIn('value', context.params), operandValue, context);
  const rows = other === null ? `(${subject.sql})` : `(${joinedSql(subject, other)})`;
  return {
    sql: `SELECT groupBitmapState(owner) FROM ${rows} WHERE ${isTurned ? not(condition) : condition}`,
    isTurned,
  };
}

/** The values of two scalars side by side. Profile numbers begin with 1: 0 is the side that has no row. */
function joinedSql(subject: ProfileValues, operand: ProfileValues): string {
  return `SELECT if(s.owner = 0, o.owner, s.owner) AS owner, s.value AS value, o.value AS operand FROM (${subject.sql}) AS s FULL OUTER JOIN (${operand.sql}) AS o ON s.owner = o.owner`;
}

function perProfile(scalar: Scalar): Scalar & { kind: 'trait' | 'reduction' } {
  if (scalar.kind === 'trait' || scalar.kind === 'reduction') return scalar;
  throw new TypeError(`the checker lets no ${scalar.kind} stand where a profile's value is asked for`);
}
