import type { EventTypes } from './definition.ts';

export const AUDIENCES = {
  'Audience Created': { when: 'An audience was created.', emitted: true },
  'Audience Modified': { when: "An audience's name, definition, schedule or settings were changed.", emitted: true },
  'Audience Enabled': { when: 'An audience was enabled: it is computed on its schedule again.', emitted: true },
  'Audience Disabled': {
    when: 'An audience was disabled, by a person or after repeated hard failures.',
    emitted: true,
  },
  'Audience Deleted': { when: 'An audience was deleted.', emitted: true },
  'Audience CSV Downloaded': { when: 'Someone downloaded an audience as a CSV file.', emitted: false },
  'Audience Preview Created': { when: "Someone asked for a preview of an audience's size.", emitted: false },
  'Audience Run Forced': { when: 'Someone asked for a run of an audience at once.', emitted: true },
  'Audience Run Complete': { when: 'A run of an audience succeeded and what it computed is live.', emitted: true },
  'Audience Run Failed': {
    when: 'An attempt at a run of an audience failed. It is tried again, unless a hard failure follows.',
    emitted: true,
  },
  'Audience Run Hard Failure': {
    when: 'A run of an audience is not tried any more: its retries are spent, or its error cannot heal by itself.',
    emitted: true,
  },
  'Audience Run Recovered': {
    when: 'A run of an audience succeeded after at least one failed attempt.',
    emitted: true,
  },
  'Audience Destination Sync Failed': {
    when: 'An attempt at a sync of an audience to a destination failed. It is tried again, unless a hard failure follows.',
    emitted: true,
  },
  'Audience Destination Sync Hard Failure': {
    when: 'A sync of an audience is not tried any more: its retries are spent, or its error cannot heal by itself.',
    emitted: true,
  },
  'Audience Destination Sync Recovered': {
    when: 'A sync of an audience succeeded after at least one failed attempt.',
    emitted: true,
  },
  'Destination Added into Audience': { when: 'An audience was connected to a destination.', emitted: true },
  'Destination Removed from Audience': { when: 'An audience was disconnected from a destination.', emitted: true },
  'Destination Updated for Audience': {
    when: "The settings of an audience's connection to a destination were changed.",
    emitted: true,
  },
  'Destinations Listed from Audience': { when: 'Someone listed the destinations of an audience.', emitted: false },
  'Supported Destinations Listed For Audience': {
    when: 'Someone listed the destinations that an audience could be connected to.',
    emitted: false,
  },
  'Activation Created': { when: 'An activation of an audience at a destination was created.', emitted: false },
} as const satisfies EventTypes;

export const COMPUTED_TRAITS = {
  'Computed Trait Created': { when: 'A computed trait was created.', emitted: true },
  'Computed Trait Modified': {
    when: "A computed trait's name, definition, schedule or settings were changed.",
    emitted: true,
  },
  'Computed Trait Enabled': {
    when: 'A computed trait was enabled: it is computed on its schedule again.',
    emitted: true,
  },
  'Computed Trait Disabled': {
    when: 'A computed trait was disabled, by a person or after repeated hard failures.',
    emitted: true,
  },
  'Computed Trait Deleted': { when: 'A computed trait was deleted.', emitted: true },
  'Computed Trait CSV Downloaded': { when: 'Someone downloaded a computed trait as a CSV file.', emitted: false },
  'Computed Trait Run Forced': { when: 'Someone asked for a run of a computed trait at once.', emitted: true },
  'Computed Trait Run Complete': {
    when: 'A run of a computed trait succeeded and what it computed is live.',
    emitted: true,
  },
  'Computed Trait Run Failed': {
    when: 'An attempt at a run of a computed trait failed. It is tried again, unless a hard failure follows.',
    emitted: true,
  },
  'Computed Trait Run Hard Failure': {
    when: 'A run of a computed trait is not tried any more: its retries are spent, or its error cannot heal by itself.',
    emitted: true,
  },
  'Computed Trait Run Recovered': {
    when: 'A run of a computed trait succeeded after at least one failed attempt.',
    emitted: true,
  },
  'Computed Trait Destination Sync Failed': {
    when: 'An attempt at a sync of a computed trait to a destination failed. It is tried again, unless a hard failure follows.',
    emitted: true,
  },
  'Computed Trait Destination Sync Hard Failure': {
    when: 'A sync of a computed trait is not tried any more: its retries are spent, or its error cannot heal by itself.',
    emitted: true,
  },
  'Computed Trait Destination Sync Recovered': {
    when: 'A sync of a computed trait succeeded after at least one failed attempt.',
    emitted: true,
  },
  'Destination Added into Computed Trait': { when: 'A computed trait was connected to a destination.', emitted: true },
  'Destination Removed from Computed Trait': {
    when: 'A computed trait was disconnected from a destination.',
    emitted: true,
  },
  'Destination Updated for Computed Trait': {
    when: "The settings of a computed trait's connection to a destination were changed.",
    emitted: true,
  },
} as const satisfies EventTypes;
