import type { FailureDefinition } from './definition.ts';

/** What a computation says. */
export const COMPUTATION_FAILURES = {
  definition_invalid: {
    class: 'hard',
    counts: true,
    sentence: 'The definition is not valid any more.',
    action: 'Correct the definition; the next run uses it.',
  },
  definition_refers_to_deleted: {
    class: 'hard',
    counts: true,
    sentence: 'The definition refers to an audience or computed trait that was deleted.',
    action: 'Take the reference out of the definition, or make that audience or trait again under the same key.',
  },
  definition_refers_to_uncomputed: {
    class: 'transient',
    counts: false,
    sentence: 'The definition refers to an audience or computed trait that has not been computed yet.',
    action: 'Nothing if that one is being computed; otherwise enable it, or see why its runs fail.',
  },
  definition_cycle: {
    class: 'hard',
    counts: true,
    sentence: 'The definition refers back to its own computation, perhaps through others.',
    action: 'Take one of the references out.',
  },
  computation_missing: {
    class: 'hard',
    counts: false,
    sentence: 'The computation was deleted or disabled while its task was waiting.',
    action: 'Nothing, unless the computation should still run: then enable it again.',
  },
} as const satisfies Record<string, FailureDefinition>;
