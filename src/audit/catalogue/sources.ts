import type { EventTypes } from './definition.ts';

export const SOURCES = {
  'Source Created': { when: 'A source was created.', emitted: true },
  'Source Enabled': { when: 'A source was enabled: it takes events again.', emitted: true },
  'Source Disabled': { when: 'A source was disabled: its events are refused.', emitted: true },
  'Source Modified': {
    when: "A source's name, labels, settings or tracking plan were changed.",
    emitted: true,
    aliases: ['Source Settings Modified'],
  },
  'Source Deleted': { when: 'A source was deleted.', emitted: true },
  'Source Write Key Created': { when: 'A write key of a source was created.', emitted: true },
  'Source Write Key Revoked': { when: 'A write key of a source was revoked: what uses it is refused.', emitted: true },
  'Events Quarantined': {
    when: 'Events of a source could not be loaded and were put aside; the others went on.',
    emitted: true,
  },
  'Events Redriven': { when: 'Events that had been put aside were put back into the event log.', emitted: true },
  'Source Run Failed': { when: 'A run of a cloud source failed.', emitted: false },
  'Source Debugger Raw Viewed': { when: "Someone looked at raw events in a source's debugger.", emitted: false },
  'Schema JSON File Upload': { when: 'A file with a schema was uploaded for a source.', emitted: false },
  'Schema Default Edited To Block New Events': {
    when: "A source's schema was set so that events the schema does not know are blocked.",
    emitted: false,
    aliases: ['Schema Default Edited To: Block New Events'],
  },
  'Schema Default Edited To Allow New Events': {
    when: "A source's schema was set so that events the schema does not know are allowed.",
    emitted: false,
    aliases: ['Schema Default Edited To: Allow New Events'],
  },
  'Schema Default Edited To Allow New Event Properties': {
    when: "A source's schema was set so that properties the schema does not know are allowed.",
    emitted: false,
    aliases: ['Schema Default Edited To: Allow New Event Properties'],
  },
  'Schema Default Edited To Omit New Event Properties': {
    when: "A source's schema was set so that properties the schema does not know are omitted.",
    emitted: false,
    aliases: ['Schema Default Edited To: Omit New Event Properties'],
  },
  'Schema Default Edited To Allow New Identify Traits': {
    when: "A source's schema was set so that identify traits the schema does not know are allowed.",
    emitted: false,
    aliases: ['Schema Default Edited To: Allow New Identify Traits'],
  },
  'Schema Default Edited To Omit New Identify Traits': {
    when: "A source's schema was set so that identify traits the schema does not know are omitted.",
    emitted: false,
    aliases: ['Schema Default Edited To: Omit New Identify Traits'],
  },
  'Schema Default Edited To Allow New Group Traits': {
    when: "A source's schema was set so that group traits the schema does not know are allowed.",
    emitted: false,
    aliases: ['Schema Default Edited To: Allow New Group Traits'],
  },
  'Schema Default Edited To Omit New Group Traits': {
    when: "A source's schema was set so that group traits the schema does not know are omitted.",
    emitted: false,
    aliases: ['Schema Default Edited To: Omit New Group Traits'],
  },
  'Schema Default Edited To Allow Identify Traits On Violation': {
    when: "A source's schema was set so that identify traits that violate the tracking plan are allowed.",
    emitted: false,
    aliases: ['Schema Default Edited To: Allow Identify Traits On Violation'],
  },
  'Schema Default Edited To Omit Identify Traits On Violation': {
    when: "A source's schema was set so that identify traits that violate the tracking plan are omitted.",
    emitted: false,
    aliases: ['Schema Default Edited To: Omit Identify Traits On Violation'],
  },
  'Schema Default Edited To Allow Group Traits On Violation': {
    when: "A source's schema was set so that group traits that violate the tracking plan are allowed.",
    emitted: false,
    aliases: ['Schema Default Edited To: Allow Group Traits On Violation'],
  },
  'Schema Default Edited To Omit Group Traits On Violation': {
    when: "A source's schema was set so that group traits that violate the tracking plan are omitted.",
    emitted: false,
    aliases: ['Schema Default Edited To: Omit Group Traits On Violation'],
  },
  'Schema Event Allowed': { when: "An event of a source's schema was allowed.", emitted: false },
  'Schema Event Blocked': { when: "An event of a source's schema was blocked.", emitted: false },
  'Schema Event Archived': { when: "An event of a source's schema was archived.", emitted: false },
  'Schema Event Property Rule Edited To Optional': {
    when: "A property of an event in a source's schema was made optional.",
    emitted: false,
  },
  'Schema Event Property Rule Edited To Required': {
    when: "A property of an event in a source's schema was made required.",
    emitted: false,
  },
  'Schema Event Property Rule Edited To Forbidden': {
    when: "A property of an event in a source's schema was made forbidden.",
    emitted: false,
  },
  'Schema Event Property Conditions Edited': {
    when: "The conditions on a property of an event in a source's schema were changed.",
    emitted: false,
  },
  'Schema Identify Trait Allowed': { when: "An identify trait of a source's schema was allowed.", emitted: false },
  'Schema Identify Trait Blocked': { when: "An identify trait of a source's schema was blocked.", emitted: false },
  'Schema Identify Trait Archived': { when: "An identify trait of a source's schema was archived.", emitted: false },
  'Schema Group Property Allowed': { when: "A group property of a source's schema was allowed.", emitted: false },
  'Schema Group Property Blocked': { when: "A group property of a source's schema was blocked.", emitted: false },
} as const satisfies EventTypes;

export const FUNCTIONS = {
  'Source Function Created': { when: 'A source function was created.', emitted: false },
  'Source Function Modified': {
    when: "A source function's code or settings were changed.",
    emitted: false,
    aliases: ['Source Function Updated'],
  },
  'Source Function Deleted': { when: 'A source function was deleted.', emitted: false },
  'Destination Function Created': { when: 'A destination function was created.', emitted: false },
  'Destination Function Modified': {
    when: "A destination function's code or settings were changed.",
    emitted: false,
    aliases: ['Destination Function Updated'],
  },
  'Destination Function Deleted': { when: 'A destination function was deleted.', emitted: false },
} as const satisfies EventTypes;
