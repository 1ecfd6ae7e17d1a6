import type { Call, Chain, Duration, LiteralNode } from './ast.ts';
import { formatDecimal, parseDecimal } from './values/decimal.ts';
import type { Span } from './error.ts';
import { DAY_MS, HOUR_MS, parseInstant } from './values/instant.ts';
import type { Scalar, Test } from './plan.ts';
import type { Value } from './values/value.ts';

type Fail = (span: Span, message: string) => never;

/** What a literal means. A number's text is its shortest: `5.0` contains no `.`, because it is 5. */
export function valueOfLiteral(literal: LiteralNode): Value {
  const { type, text } = literal;
  switch (type) {
    case 'number': {
      const decimal = parseDecimal(text);
      return { type, decimal, text: decimal === null ? text : formatDecimal(decimal) };
    }
    case 'boolean':
      return { type, text: text === 'true' ? 'true' : 'false' };
    case 'date':
    case 'string':
      return { type, text };
    default:
      return type satisfies never;
  }
}

/** Hours and days only: `seconds` are there for expires_after. */
export function durationMs(duration: Duration, fail: Fail): number {
  return duration.amount * (unitOf(duration, fail) === 'day' ? DAY_MS : HOUR_MS);
}

function unitOf(duration: Duration, fail: Fail): 'hour' | 'day' {
  return duration.unit === 'second' ? fail(duration.span, 'This duration is in hours or days.') : duration.unit;
}

/** The test that a comparator's call asks for. `rules.operand` checks what it compares with. */
export function planTest(call: Call, rules: { operand: (chain: Chain) => Scalar; fail: Fail }): Test {
  switch (call.name) {
    case 'absent':
    case 'exists':
      return { kind: call.name };
    case 'equals':
    case 'differs':
    case 'greater_than':
    case 'at_least':
    case 'less_than':
    case 'at_most':
      return { kind: call.name, operand: rules.operand(call.value) };
    case 'one_of':
    case 'none_of':
      return { kind: call.name, values: call.values.map(valueOfLiteral) };
    case 'contains':
      return { kind: call.name, texts: call.values.map((literal) => valueOfLiteral(literal).text) };
    case 'omits':
    case 'starts_with':
    case 'ends_with':
      return { kind: call.name, texts: [valueOfLiteral(call.value).text] };
    case 'before_date':
    case 'after_date': {
      const { text, span } = call.value;
      const instantMs =
        parseInstant(text) ??
        rules.fail(span, `${call.name} takes a date such as 2023-12-07 or '2023-12-07T18:50:00Z'.`);
      return { kind: 'instant', range: { kind: call.name === 'before_date' ? 'before' : 'after', instantMs } };
    }
    case 'within_last':
    case 'before_last':
    case 'within_next':
    case 'after_next': {
      const unit = unitOf(call.duration, rules.fail);
      return { kind: 'instant', range: { kind: call.name, amount: call.duration.amount, unit } };
    }
    default:
      return rules.fail(call.span, `${call.name} is no comparator.`);
  }
}
