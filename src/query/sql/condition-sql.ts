import type { Condition, Scalar } from '../plan.ts';
import { all, any, not } from './boolean.ts';
import type { SqlContext } from './sources.ts';
import type { SqlValue } from './sql-value.ts';
import { testSql } from './test-sql.ts';

/** A condition over the columns of one row, as SQL. `valueOf` says which columns a scalar's value is in. */
export function conditionSql(condition: Condition, valueOf: (scalar: Scalar) => SqlValue, context: SqlContext): string {
  switch (condition.kind) {
    case 'and':
      return all(condition.operands.map((operand) => conditionSql(operand, valueOf, context)));
    case 'or':
      return any(condition.operands.map((operand) => conditionSql(operand, valueOf, context)));
    case 'not':
      return not(conditionSql(condition.operand, valueOf, context));
    case 'comparison': {
      const { subject, test } = condition;
      const operand = 'operand' in test ? valueOf(test.operand) : null;
      return testSql(test, valueOf(subject), operand, context);
    }
    default:
      return condition satisfies never;
  }
}
