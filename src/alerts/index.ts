export type { AlertRow } from './alert-row.ts';
export {
  createChannel,
  deleteChannel,
  listChannels,
  testChannel,
  updateChannel,
  type ChannelDeps,
  type ChannelRow,
} from './channels.ts';
export { decideAlert, type AlertSituation } from './decide.ts';
export {
  attemptDelivery,
  outlastPosts,
  pendingDeliveries,
  workspaceOfDelivery,
  type DeliveryOutcome,
} from './deliver.ts';
export { HOLD_GRACE_MS, prolongHolds, renewHolds, setHoldEnd } from './hold.ts';
export { alertCounts, listAlerts, type AlertResponse } from './list-alerts.ts';
export { notify, onTaskCancelled, onTaskFailed, onTaskRecovered, type AlertTask } from './on-task.ts';
export { alertWebhookSchema } from './payload.ts';
export { readOverdueAlerts } from './overdue.ts';
export { releaseOverdueAlerts, sweepAlerts } from './release.ts';
export { readSettings, setReducedNotifications, type AlertSettings } from './settings.ts';
