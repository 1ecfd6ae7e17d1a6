import type { FailureDefinition } from './definition.ts';

/** What PostgreSQL refuses, lacks or leaves unanswered. */
export const POSTGRES_FAILURES = {
  postgres_unavailable: {
    class: 'transient',
    counts: false,
    sentence: 'PostgreSQL could not be reached, or took no connection.',
    action: 'Check that PostgreSQL runs and has connections left.',
  },
  postgres_contention: {
    class: 'transient',
    counts: false,
    sentence: 'PostgreSQL gave up a statement that waited too long, or that collided with another.',
    action: 'Nothing while it is tried again; if it comes often, look for long transactions on PostgreSQL.',
  },
  postgres_exhausted: {
    class: 'transient',
    counts: false,
    sentence: 'PostgreSQL has run out of disk or memory.',
    action: 'Give PostgreSQL more room; the detail says of what.',
  },
  postgres_read_only: {
    class: 'transient',
    counts: false,
    sentence: 'PostgreSQL takes no writes: the server is a standby, or was made read only.',
    action: 'Wait for the failover to end, or point DATABASE_URL at the primary.',
  },
  postgres_refused: {
    class: 'transient',
    counts: false,
    sentence: "PostgreSQL refused Trailmark's user, password or database, or lacks a right that it needs.",
    action: 'Check DATABASE_URL and the rights of its user.',
  },
  postgres_statement: {
    class: 'transient',
    counts: false,
    sentence: 'PostgreSQL refused a statement of Trailmark.',
    action: 'If an upgrade is under way, wait for it and for its migrations; otherwise report it: it is a defect.',
  },
} as const satisfies Record<string, FailureDefinition>;
