import type { Client } from '@temporalio/client';
import type { ChannelDeps } from '../src/alerts/index.ts';
import type { Admitter, SharedSlots, TaskDeps, TaskQueues, TaskStarter } from '../src/tasks/index.ts';

/** What activities need of the process that executes them. */
export interface ActivityDeps {
  tasks: TaskDeps;
  channels: ChannelDeps;
  temporal: Client;
  /** What workspaces share: how much this worker does at once. */
  slots: SharedSlots;
  /** Where what is started here is executed; the usual queues where it is not given. */
  queues?: TaskQueues;
  /** Starts the workflow of a task that has its turn already. */
  startTask: TaskStarter;
  /** Lets tasks begin whose turn has come, and starts their workflows. */
  admitter: Admitter;
}
