import type { EventTypes } from './definition.ts';

export const ENGAGE_WAREHOUSE_SOURCES = {
  'Engage Warehouse Source Created': {
    when: 'A warehouse source for SQL traits was created.',
    emitted: false,
    aliases: ['Personas Warehouse Source Created'],
  },
  'Engage Warehouse Source Modified': {
    when: 'A warehouse source for SQL traits was changed.',
    emitted: false,
    aliases: ['Personas Warehouse Source Modified'],
  },
  'Engage Warehouse Source Deleted': {
    when: 'A warehouse source for SQL traits was deleted.',
    emitted: false,
    aliases: ['Personas Warehouse Source Deleted'],
  },
} as const satisfies EventTypes;

export const PROFILES_SYNC = {
  'Profiles Sync Warehouse Created': { when: "A warehouse for a space's profiles was connected.", emitted: false },
  'Profiles Sync Warehouse Modified': {
    when: 'What is synced to a warehouse of profiles was changed.',
    emitted: false,
  },
  'Profiles Sync Warehouse Updated': { when: 'The settings of a warehouse of profiles were changed.', emitted: false },
  'Profiles Sync Warehouse Retrieved': { when: "Someone listed the warehouses of a space's profiles.", emitted: false },
  'Profiles Sync Warehouse Schema Retrieved': {
    when: 'Someone read the schema of a warehouse of profiles.',
    emitted: false,
    aliases: ['Profiles Sync Schema Retrieved'],
  },
  'Profiles Sync Warehouse Disabled': { when: 'A warehouse of profiles was disabled.', emitted: false },
  'Profiles Sync Warehouse Deleted': { when: 'A warehouse of profiles was disconnected.', emitted: false },
  'Profiles Sync Warehouse Sync Failed': { when: 'A load into a warehouse of profiles failed.', emitted: false },
  'Profiles Sync Historical Backfill Completed': {
    when: 'All profiles from before a warehouse was connected are in it.',
    emitted: false,
  },
} as const satisfies EventTypes;

export const SPACES = {
  'Space Created': { when: 'A space was created.', emitted: true },
  'Space Modified': { when: "A space's name, slug, caps or blocked ids were changed.", emitted: true },
  'Space Deleted': { when: 'A space was deleted.', emitted: false },
  'Source Connected To Space': { when: "A source's events go into a space's profiles from now on.", emitted: true },
  'Source Disconnected From Space': {
    when: "A source's events do not go into a space's profiles any more.",
    emitted: true,
  },
  'Filter Created': { when: 'A filter of what goes into a space was created.', emitted: false },
  'Filter Updated': { when: 'A filter of what goes into a space was changed.', emitted: false },
  'Filter Deleted': { when: 'A filter of what goes into a space was deleted.', emitted: false },
  'Data Graph Breaking Change': { when: "A change at the warehouse broke a space's data graph.", emitted: false },
} as const satisfies EventTypes;

// Segment's pages name the areas Journeys and Broadcasts, but no event names: these are ours.
export const JOURNEYS = {
  'Journey Created': { when: 'A journey was created.', emitted: false },
  'Journey Modified': { when: 'A journey was changed.', emitted: false },
  'Journey Enabled': { when: 'A journey was published or resumed.', emitted: false },
  'Journey Disabled': { when: 'A journey was paused.', emitted: false },
  'Journey Deleted': { when: 'A journey was deleted.', emitted: false },
} as const satisfies EventTypes;

export const BROADCASTS = {
  'Broadcast Created': { when: 'A broadcast was created.', emitted: false },
  'Broadcast Modified': { when: 'A broadcast was changed.', emitted: false },
  'Broadcast Sent': { when: 'A broadcast was sent.', emitted: false },
  'Broadcast Deleted': { when: 'A broadcast was deleted.', emitted: false },
} as const satisfies EventTypes;
