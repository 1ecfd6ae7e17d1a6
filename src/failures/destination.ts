import type { FailureDefinition } from './definition.ts';

/** What a destination is, answers, or leaves unanswered. */
export const DESTINATION_FAILURES = {
  destination_missing: {
    class: 'hard',
    counts: false,
    sentence: 'The destination was deleted or switched off while its sync was waiting.',
    action: 'Nothing, unless the destination should still receive: then switch it on again.',
  },
  destination_settings_invalid: {
    class: 'hard',
    counts: true,
    sentence: "The destination's settings or mapping are not valid.",
    action: "Correct the destination's settings; the next sync uses them.",
  },
  destination_code_overran: {
    class: 'hard',
    counts: true,
    sentence: "The destination's mapping, trigger or code took more time or memory than it may for one batch.",
    action: 'Simplify the mapping and the trigger, above all loops and patterns, or use smaller batches.',
  },
  destination_settings_sealed: {
    class: 'transient',
    counts: false,
    sentence: "The destination's settings do not open with the secret that this worker was started with.",
    action:
      'Start every worker with the TRAILMARK_SECRET that the settings were saved with, or save the settings again.',
  },
  destination_credentials_rejected: {
    class: 'hard',
    counts: true,
    circuit: 'answered',
    sentence: 'The destination rejected the credentials.',
    action: 'Give the destination new credentials.',
  },
  destination_credentials_expired: {
    class: 'hard',
    counts: true,
    circuit: 'answered',
    sentence: "The destination's access has expired, and it refused to renew it.",
    action: 'Connect the destination again, so that it gives new tokens.',
  },
  destination_address_refused: {
    class: 'hard',
    counts: true,
    sentence: "The destination's address is not one that this installation sends to.",
    action: 'Use a public address, or allow private addresses for this installation.',
  },
  destination_name_unknown: {
    class: 'transient',
    counts: true,
    circuit: 'failed',
    sentence: "The name in the destination's address does not exist.",
    action: 'Check the address for a typing error. A new name may need some time until it is known everywhere.',
  },
  destination_certificate_invalid: {
    class: 'hard',
    counts: true,
    sentence: "The destination's TLS certificate is not one to trust, so nothing was sent.",
    action: 'Have the certificate renewed or corrected, or use the address that it was made for.',
  },
  destination_redirected: {
    class: 'hard',
    counts: true,
    circuit: 'answered',
    sentence: 'The destination answered with a redirect, which is not followed.',
    action: 'Give the destination the address that it redirects to.',
  },
  destination_answer_invalid: {
    class: 'transient',
    counts: true,
    circuit: 'answered',
    sentence: 'The destination gave an answer that is no HTTP, or larger than any answer may be.',
    action: 'Check that the address is that of the tool itself; the detail says what is wrong with the answer.',
  },
  destination_rejected_all: {
    class: 'hard',
    counts: true,
    sentence: 'The destination refused every change of this sync for good.',
    action: 'Look at the rejected rows: the destination says why.',
  },
  destination_rate_limited: {
    class: 'transient',
    counts: true,
    circuit: 'answered',
    sentence: 'The destination asked to slow down for longer than a sync may wait.',
    action: 'Nothing while it is tried again; if it comes often, sync less often or ask the tool for a higher limit.',
  },
  destination_circuit_open: {
    class: 'transient',
    counts: true,
    sentence: 'The destination has failed so often in a row that it is left alone, and was not back in time.',
    action: 'See whether the tool is up; the first sync that finds it back lets the others go on.',
  },
  destination_unavailable: {
    class: 'transient',
    counts: true,
    circuit: 'failed',
    sentence: 'The destination answered with a server error.',
    action: 'Nothing while it is tried again; if it lasts, see whether the tool is up.',
  },
  destination_unreachable: {
    class: 'transient',
    counts: true,
    circuit: 'failed',
    sentence: 'The destination could not be reached.',
    action: 'Nothing while it is tried again; if it lasts, check the address, and that the tool is up.',
  },
  destination_timeout: {
    class: 'transient',
    counts: true,
    circuit: 'failed',
    sentence: 'The destination did not answer in time.',
    action: 'Nothing while it is tried again; if it lasts, use smaller batches or see whether the tool is slow.',
  },
} as const satisfies Record<string, FailureDefinition>;
