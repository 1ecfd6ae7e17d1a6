/**
 * What becomes of an alert, and the rule that says so. Pure, and the only place that decides.
 * The promise of reduced notifications is here: a hard failure is sent, whatever the setting; only a transient failure is ever
 * held, and what was held always ends: folded, released or suppressed.
 */

export type AlertKind = 'transient_failure' | 'hard_failure' | 'recovery' | 'notice';
export type AlertDecision = 'sent' | 'held' | 'folded' | 'released' | 'suppressed';

/** What has just happened to a new alert, or to one that is held. */
export type AlertSituation =
  | { kind: 'hard_failure' }
  | { kind: 'recovery' }
  | { kind: 'notice' }
  | { kind: 'transient_failure'; moment: 'failed'; reducedNotifications: boolean }
  | { kind: 'transient_failure'; moment: HeldOutcome };

/** What ends the waiting of a held alert. */
type HeldOutcome =
  | 'recovered'
  | 'hard_failure'
  | 'cancelled'
  | 'no_outcome'
  | 'setting_off'
  | 'setting_expired'
  | 'released_with_later';

export interface AlertVerdict {
  decision: AlertDecision;
  /** Stored with the decision, for people. */
  rule: string;
}

export function decideAlert(situation: AlertSituation): AlertVerdict {
  if (situation.kind !== 'transient_failure') return ALWAYS_SENT[situation.kind];
  if (situation.moment !== 'failed') return HELD_VERDICTS[situation.moment];
  return situation.reducedNotifications
    ? { decision: 'held', rule: 'reduced notifications: waits for the outcome of its task' }
    : { decision: 'sent', rule: 'every failure is sent' };
}

const ALWAYS_SENT: Record<Exclude<AlertKind, 'transient_failure'>, AlertVerdict> = {
  hard_failure: { decision: 'sent', rule: 'a hard failure is always sent' },
  recovery: { decision: 'sent', rule: 'closes what was sent about its task' },
  notice: { decision: 'sent', rule: 'a notice is always sent' },
};

const HELD_VERDICTS: Record<HeldOutcome, AlertVerdict> = {
  recovered: { decision: 'folded', rule: 'recovered' },
  hard_failure: { decision: 'folded', rule: "the hard failure's alert carries it" },
  cancelled: { decision: 'suppressed', rule: 'its task was cancelled' },
  no_outcome: { decision: 'released', rule: 'no outcome in time' },
  setting_off: { decision: 'released', rule: 'reduced notifications were switched off' },
  setting_expired: { decision: 'released', rule: 'reduced notifications expired' },
  released_with_later: { decision: 'folded', rule: 'a later alert of the same task was released and carries it' },
};
