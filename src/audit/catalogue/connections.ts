import type { EventTypes } from './definition.ts';

export const WAREHOUSES = {
  'Warehouse Credential Created': { when: 'Credentials for a warehouse were created.', emitted: false },
  'Warehouse Credential Modified': { when: 'Credentials for a warehouse were changed.', emitted: false },
  'Warehouse Credential Deleted': { when: 'Credentials for a warehouse were deleted.', emitted: false },
  'Model Created': { when: 'A reverse ETL model was created.', emitted: false },
  'Model Deleted': { when: 'A reverse ETL model was deleted.', emitted: false },
  'Model Settings Saved': { when: "A reverse ETL model's settings were saved.", emitted: false },
  'Model State Change Toggled': { when: 'A reverse ETL model was enabled or disabled.', emitted: false },
  'Reverse ETL Sync Failed': { when: 'A reverse ETL sync failed.', emitted: false },
  'Reverse ETL Sync Partial Success': { when: 'A reverse ETL sync delivered some of its rows.', emitted: false },
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
    when: "A destination's name, settings or cap were changed.",
    emitted: true,
    aliases: ['Integrations Modified', 'Integration Modified'],
  },
  'Destination Circuit Opened': {
    when: 'A destination failed so often in a row that syncs wait until one of them finds it back.',
    emitted: true,
  },
  'Destination Circuit Closed': {
    when: 'A destination whose syncs were waiting answers again.',
    emitted: true,
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

export const STORAGE = {
  'Storage Destination Created': {
    when: 'A warehouse was connected as a storage destination.',
    emitted: false,
    aliases: ['Warehouses Created', 'Warehouse Created'],
  },
  'Storage Destination Enabled': {
    when: 'A storage destination was enabled.',
    emitted: false,
    aliases: ['Warehouses Enabled', 'Warehouse Enabled'],
  },
  'Storage Destination Disabled': {
    when: 'A storage destination was disabled: nothing is loaded into it.',
    emitted: false,
    aliases: ['Warehouses Disabled', 'Warehouse Disabled'],
  },
  'Storage Destination Modified': {
    when: "A storage destination's settings, sources or selective sync were changed.",
    emitted: false,
    aliases: ['Warehouses Modified', 'Warehouse Modified'],
  },
  'Storage Destination Deleted': {
    when: 'A storage destination was deleted.',
    emitted: false,
    aliases: ['Warehouses Deleted', 'Warehouse Deleted'],
  },
  'Storage Destination Settings Validation': {
    when: "Someone had a storage destination's settings checked.",
    emitted: false,
  },
  'Storage Destination Sync Failed': {
    when: 'A load into a storage destination failed.',
    emitted: false,
    aliases: ['Warehouse Run Failed', 'Warehouses Run Failed'],
  },
  'Storage Destination Sync Partially Succeeded': {
    when: 'A load into a storage destination took some of its rows.',
    emitted: false,
    aliases: ['Sync Partially Succeeded'],
  },
  'Storage Destination Sync Skipped': {
    when: 'A load into a storage destination was skipped, because the one before still ran.',
    emitted: false,
    aliases: ['Sync Skipped'],
  },
} as const satisfies EventTypes;
