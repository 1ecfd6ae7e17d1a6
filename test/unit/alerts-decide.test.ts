import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideAlert, type AlertSituation } from '../../src/alerts/index.ts';

const TABLE: [AlertSituation, string][] = [
  [{ kind: 'hard_failure' }, 'sent'],
  [{ kind: 'recovery' }, 'sent'],
  [{ kind: 'notice' }, 'sent'],
  [{ kind: 'transient_failure', moment: 'failed', reducedNotifications: false }, 'sent'],
  [{ kind: 'transient_failure', moment: 'failed', reducedNotifications: true }, 'held'],
  [{ kind: 'transient_failure', moment: 'recovered' }, 'folded'],
  [{ kind: 'transient_failure', moment: 'hard_failure' }, 'folded'],
  [{ kind: 'transient_failure', moment: 'cancelled' }, 'suppressed'],
  [{ kind: 'transient_failure', moment: 'no_outcome' }, 'released'],
  [{ kind: 'transient_failure', moment: 'setting_off' }, 'released'],
  [{ kind: 'transient_failure', moment: 'setting_expired' }, 'released'],
  [{ kind: 'transient_failure', moment: 'released_with_later' }, 'folded'],
];

describe('decideAlert', () => {
  test.each(TABLE)('%j is %s', (situation, decision) => {
    expect(decideAlert(situation).decision).toBe(decision);
  });

  test('every situation has a rule of its own', () => {
    const rules = TABLE.map(([situation]) => decideAlert(situation).rule);
    expect(new Set(rules).size).toBe(TABLE.length);
    expect(rules.every((rule) => rule.length > 0)).toBe(true);
  });

  // The promise, over whole lives of tasks: what people get, for any number of failures, any end and any switching in between.
  test('no hard failure stays unsaid, nothing stays held, and with the setting off every failure is sent', () => {
    const life = fc.record({
      failures: fc.array(fc.boolean(), { minLength: 0, maxLength: 5 }),
      end: fc.constantFrom('hard_failure', 'recovered', 'cancelled', 'no_outcome', 'setting_off', 'setting_expired'),
    });
    fc.assert(
      fc.property(life, ({ failures, end }) => {
        const atFailure = failures.map((reducedNotifications) =>
          decideAlert({ kind: 'transient_failure', moment: 'failed', reducedNotifications }),
        );
        const decisions = atFailure.map((verdict) =>
          verdict.decision === 'held'
            ? decideAlert({ kind: 'transient_failure', moment: end }).decision
            : verdict.decision,
        );
        expect(decisions).not.toContain('held');
        failures.forEach((reduced, index) => {
          if (!reduced) expect(decisions[index]).toBe('sent');
        });
        if (end === 'hard_failure') {
          // Folded only into the alert that is sent at the same moment.
          expect(decideAlert({ kind: 'hard_failure' }).decision).toBe('sent');
          expect(decisions).not.toContain('suppressed');
        }
        if (end === 'no_outcome') expect(decisions.every((d) => d === 'sent' || d === 'released')).toBe(true);
      }),
    );
  });
});
