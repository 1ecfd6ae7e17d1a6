import type { EventTypes } from './definition.ts';

// Segment's pages name the area and what happens in it, but no event names: these are ours.
export const CONSENT_MANAGEMENT = {
  'Consent Category Created': { when: 'A consent category was created.', emitted: false },
  'Consent Category Modified': { when: 'A consent category was changed.', emitted: false },
  'Consent Category Disabled': { when: 'A consent category was disabled.', emitted: false },
  'Consent Mapping Created': { when: 'A destination was mapped to a consent category.', emitted: false },
  'Consent Mapping Removed': { when: "A destination's mapping to a consent category was removed.", emitted: false },
} as const satisfies EventTypes;

export const TRACKING_PLANS = {
  'Tracking Plan Created': { when: 'A tracking plan was created.', emitted: false },
  'Tracking Plan Modified': { when: "A tracking plan's name or description was changed.", emitted: false },
  'Tracking Plan Updated': { when: "A tracking plan's rules were replaced.", emitted: false },
  'Tracking Plan Operations Updated': {
    when: 'Some rules of a tracking plan were added, changed or removed.',
    emitted: false,
  },
  'Tracking Plan Deleted': { when: 'A tracking plan was deleted.', emitted: false },
  'Tracking Plan Inferred': { when: 'A tracking plan was made from the events of a source.', emitted: false },
  'Tracking Plan New Event Blocked': {
    when: 'An event that the tracking plan does not know was blocked for the first time.',
    emitted: false,
    aliases: ['New Event Blocked'],
  },
  'Tracking Plan New Event Allowed': {
    when: 'An event that the tracking plan does not know was let through for the first time.',
    emitted: false,
    aliases: ['New Event Allowed'],
  },
  'Tracking Plan New Group Trait Omitted': {
    when: 'A group trait that the tracking plan does not know was omitted for the first time.',
    emitted: false,
    aliases: ['New Group Trait Omitted'],
  },
  'Tracking Plan New Identify Trait Omitted': {
    when: 'An identify trait that the tracking plan does not know was omitted for the first time.',
    emitted: false,
    aliases: ['New Identify Trait Omitted'],
  },
  'Tracking Plan New Track Property Omitted': {
    when: 'A property that the tracking plan does not know was omitted for the first time.',
    emitted: false,
    aliases: ['New Track Property Omitted'],
  },
  'Tracking Plan New Forbidden Event Property': {
    when: 'A property that the tracking plan forbids was seen for the first time.',
    emitted: false,
    aliases: ['New Forbidden Event Property'],
  },
  'Source Connected to Tracking Plan': {
    when: "A source's events are checked against a tracking plan from now on.",
    emitted: false,
    aliases: ['Tracking Plan Source Connected'],
  },
  'Source Disconnected From Tracking Plan': {
    when: "A source's events are not checked against a tracking plan any more.",
    emitted: false,
    aliases: ['Tracking Plan Source Disconnected'],
  },
  'Violations Detected': {
    when: 'Events of a source violated its tracking plan.',
    emitted: false,
    aliases: ['Tracking Plan Violations Detected'],
  },
} as const satisfies EventTypes;

export const DESTINATION_FILTERS = {
  'Destination Filter Created': {
    when: 'A filter of a destination was created.',
    emitted: false,
    aliases: ['Destination Filters Created'],
  },
  'Destination Filter Enabled': {
    when: 'A filter of a destination was enabled.',
    emitted: false,
    aliases: ['Destination Filters Enabled'],
  },
  'Destination Filter Disabled': {
    when: 'A filter of a destination was disabled.',
    emitted: false,
    aliases: ['Destination Filters Disabled'],
  },
  'Destination Filter Modified': {
    when: 'A filter of a destination was changed.',
    emitted: false,
    aliases: ['Destination Filters Modified'],
  },
  'Destination Filter Deleted': {
    when: 'A filter of a destination was deleted.',
    emitted: false,
    aliases: ['Destination Filters Deleted'],
  },
} as const satisfies EventTypes;

export const TRANSFORMATIONS = {
  'Transformation Created': { when: 'A transformation was created.', emitted: false },
  'Transformation Updated': {
    when: 'A transformation was changed, enabled or disabled.',
    emitted: false,
    aliases: ['Transformation Modified'],
  },
  'Transformation Deleted': { when: 'A transformation was deleted.', emitted: false },
} as const satisfies EventTypes;
