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
  'Audience Paused': {
    when: 'Someone paused an audience: its tasks stay where they are, and no new ones begin.',
    emitted: true,
  },
  'Audience Resumed': {
    when: 'Someone resumed an audience: its tasks go on from their checkpoints, and what was missed is caught up with.',
    emitted: true,
  },
  'Audience Resync Requested': {
    when: 'Someone asked that an audience is sent to a destination again, as a whole.',
    emitted: true,
  },
  'Audience Run Cancelled': {
    when: 'A run of an audience was cancelled: by a person, or because nobody needs its outcome any more.',
    emitted: true,
  },
  'Audience Run Retried': {
    when: 'Someone asked for a run of an audience again from one of its steps, after it had failed or was cancelled.',
    emitted: true,
  },
  'Audience Run Workflow Replaced': {
    when: 'The workflow of a run of an audience was lost or could not go on: another goes on from the checkpoint.',
    emitted: true,
  },
  'Audience Run Workflow Ended': {
    when: 'A workflow was found that had no task to execute, of a run of an audience: it was ended.',
    emitted: true,
  },
  'Audience Run Stuck': {
    when: 'A run of an audience was found that should have gone on, and was woken.',
    emitted: true,
  },
  'Audience Destination Sync Cancelled': {
    when: 'A sync of an audience was cancelled: by a person, or because nobody needs its outcome any more.',
    emitted: true,
  },
  'Audience Destination Sync Retried': {
    when: 'Someone asked for a sync of an audience again from one of its steps, after it had failed or was cancelled.',
    emitted: true,
  },
  'Audience Destination Sync Workflow Replaced': {
    when: 'The workflow of a sync of an audience was lost or could not go on: another goes on from the checkpoint.',
    emitted: true,
  },
  'Audience Destination Sync Workflow Ended': {
    when: 'A workflow was found that had no task to execute, of a sync of an audience: it was ended.',
    emitted: true,
  },
  'Audience Destination Sync Stuck': {
    when: 'A sync of an audience was found that should have gone on, and was woken.',
    emitted: true,
  },
  'Audience Run Late': {
    when: 'The slot of an audience passed while nothing ran: its run came late, once for all slots that were missed.',
    emitted: true,
  },
  'Audience Run Awaiting Approval': {
    when: 'A run of an audience would remove more members than it may without asking: it waits before its commit.',
    emitted: true,
  },
  'Audience Run Approved': {
    when: 'Someone let a run of an audience commit that would remove many members.',
    emitted: true,
  },
  'Audience Run Discarded': {
    when: 'A run of an audience that waited for approval was discarded: the live version stays.',
    emitted: true,
  },
  'Audience Destination Sync Redriven': {
    when: 'Someone asked for the rejected rows of a sync of an audience to be sent again.',
    emitted: true,
  },
  'Audience Rejected Rows Downloaded': {
    when: 'Someone downloaded the rejected rows of a sync of an audience as a CSV file.',
    emitted: true,
  },
  'Audience Destination Sync Suspended': {
    when: 'Syncs of an audience to a destination were suspended after repeated hard failures.',
    emitted: true,
  },
  'Audience Destination Sync Resumed': {
    when: 'Syncs of an audience to a destination were resumed.',
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
  'Computed Trait Paused': {
    when: 'Someone paused a computed trait: its tasks stay where they are, and no new ones begin.',
    emitted: true,
  },
  'Computed Trait Resumed': {
    when: 'Someone resumed a computed trait: its tasks go on from their checkpoints, and what was missed is caught up with.',
    emitted: true,
  },
  'Computed Trait Resync Requested': {
    when: 'Someone asked that a computed trait is sent to a destination again, as a whole.',
    emitted: true,
  },
  'Computed Trait Run Cancelled': {
    when: 'A run of a computed trait was cancelled: by a person, or because nobody needs its outcome any more.',
    emitted: true,
  },
  'Computed Trait Run Retried': {
    when: 'Someone asked for a run of a computed trait again from one of its steps, after it had failed or was cancelled.',
    emitted: true,
  },
  'Computed Trait Run Workflow Replaced': {
    when: 'The workflow of a run of a computed trait was lost or could not go on: another goes on from the checkpoint.',
    emitted: true,
  },
  'Computed Trait Run Workflow Ended': {
    when: 'A workflow was found that had no task to execute, of a run of a computed trait: it was ended.',
    emitted: true,
  },
  'Computed Trait Run Stuck': {
    when: 'A run of a computed trait was found that should have gone on, and was woken.',
    emitted: true,
  },
  'Computed Trait Destination Sync Cancelled': {
    when: 'A sync of a computed trait was cancelled: by a person, or because nobody needs its outcome any more.',
    emitted: true,
  },
  'Computed Trait Destination Sync Retried': {
    when: 'Someone asked for a sync of a computed trait again from one of its steps, after it had failed or was cancelled.',
    emitted: true,
  },
  'Computed Trait Destination Sync Workflow Replaced': {
    when: 'The workflow of a sync of a computed trait was lost or could not go on: another goes on from the checkpoint.',
    emitted: true,
  },
  'Computed Trait Destination Sync Workflow Ended': {
    when: 'A workflow was found that had no task to execute, of a sync of a computed trait: it was ended.',
    emitted: true,
  },
  'Computed Trait Destination Sync Stuck': {
    when: 'A sync of a computed trait was found that should have gone on, and was woken.',
    emitted: true,
  },
  'Computed Trait Run Late': {
    when: 'The slot of a computed trait passed while nothing ran: its run came late, once for all slots that were missed.',
    emitted: true,
  },
  'Computed Trait Run Awaiting Approval': {
    when: 'A run of a computed trait would remove more values than it may without asking: it waits before its commit.',
    emitted: true,
  },
  'Computed Trait Run Approved': {
    when: 'Someone let a run of a computed trait commit that would remove many values.',
    emitted: true,
  },
  'Computed Trait Run Discarded': {
    when: 'A run of a computed trait that waited for approval was discarded: the live version stays.',
    emitted: true,
  },
  'Computed Trait Destination Sync Redriven': {
    when: 'Someone asked for the rejected rows of a sync of a computed trait to be sent again.',
    emitted: true,
  },
  'Computed Trait Rejected Rows Downloaded': {
    when: 'Someone downloaded the rejected rows of a sync of a computed trait as a CSV file.',
    emitted: true,
  },
  'Computed Trait Destination Sync Suspended': {
    when: 'Syncs of a computed trait to a destination were suspended after repeated hard failures.',
    emitted: true,
  },
  'Computed Trait Destination Sync Resumed': {
    when: 'Syncs of a computed trait to a destination were resumed.',
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
