import type { FailureDefinition } from './definition.ts';

/** What has to add up. */
export const ACCOUNTING_FAILURES = {
  extract_incomplete: {
    class: 'transient',
    counts: false,
    sentence: 'ClickHouse gave fewer of the changes to deliver than were put there.',
    action:
      'Nothing while it is tried again: a replica may be behind. If it lasts, look at the replicas of ClickHouse.',
  },
  reconcile_mismatch: {
    class: 'hard',
    counts: true,
    sentence: 'What was delivered, rejected and skipped does not add up to what there was to deliver.',
    action: 'Report it: it is a defect of Trailmark. The next sync sends whatever the destination did not acknowledge.',
  },
} as const satisfies Record<string, FailureDefinition>;
