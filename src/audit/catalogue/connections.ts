import type { EventTypes } from './definition.ts';

export const SOURCES = {
  'Source Created': { when: 'A source was created.', emitted: true },
  'Source Enabled': { when: 'A source was enabled: it takes events again.', emitted: true },
  'Source Disabled': { when: 'A source was disabled: its events are refused.', emitted: true },
  'Source Modified': {
    when: "A source's name, write keys, labels or tracking plan were changed.",
    emitted: true,
  },
  'Source Deleted': { when: 'A source was deleted.', emitted: true },
  'Source Write Key Created': { when: 'A write key of a source was created.', emitted: true },
  'Source Write Key Revoked': { when: 'A write key of a source was revoked: what uses it is refused.', emitted: true },
} as const satisfies EventTypes;

export const DESTINATIONS = {
  'Destination Created': {
    when: 'A destination was created.',
    emitted: true,
    aliases: ['Integrations Created', 'Integration Created'],
  },
  'Destination Enabled': {
    when: 'A destination was enabled.',
    emitted: true,
    aliases: ['Integrations Enabled', 'Integration Enabled'],
  },
  'Destination Disabled': {
    when: 'A destination was disabled: nothing is sent to it.',
    emitted: true,
    aliases: ['Integrations Disabled', 'Integration Disabled'],
  },
  'Destination Modified': {
    when: "A destination's name, settings or subscriptions were changed.",
    emitted: true,
    aliases: ['Integrations Modified', 'Integration Modified'],
  },
  'Destination Deleted': {
    when: 'A destination was deleted.',
    emitted: true,
    aliases: ['Integrations Deleted', 'Integration Deleted'],
  },
  'Destination Subscription Created': { when: 'A subscription of a destination was created.', emitted: true },
  'Destination Subscription Modified': {
    when: "A subscription's trigger, mapping or state was changed.",
    emitted: true,
  },
  'Destination Subscription Deleted': { when: 'A subscription of a destination was deleted.', emitted: true },
} as const satisfies EventTypes;
