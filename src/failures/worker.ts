import type { FailureDefinition } from './definition.ts';

/** Time, workers, and what nobody knows. */
export const WORKER_FAILURES = {
  step_timeout: {
    class: 'transient',
    counts: true,
    sentence: 'The step took longer than it may.',
    action: 'Nothing while it is tried again from its checkpoint; if it lasts, let the definition look at less.',
  },
  task_timeout: {
    class: 'transient',
    counts: true,
    sentence: 'The attempt took longer than an attempt may, with all its steps and waits.',
    action: 'Nothing while it is tried again from its checkpoint; if it lasts, see which step takes so long.',
  },
  worker_lost: {
    class: 'transient',
    counts: false,
    sentence: 'The step lost the worker that executed it, for the third time in one attempt.',
    action: 'Nothing while it is tried again from its checkpoint; if it comes often, see why workers die.',
  },
  worker_exhausted: {
    class: 'transient',
    counts: false,
    sentence: 'The worker has run out of disk, memory, ports or open files.',
    action: 'Give the worker more room, or let it do less at once; the detail says of what.',
  },
  unknown: {
    class: 'transient',
    counts: true,
    sentence: 'Something failed that Trailmark does not know, so it is taken for an error that may heal.',
    action: 'If it lasts, look at the detail and report it.',
  },
} as const satisfies Record<string, FailureDefinition>;
