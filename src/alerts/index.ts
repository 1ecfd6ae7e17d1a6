export type { AlertRow } from './episodes/alert-row.ts';
export {
  createChannel,
  deleteChannel,
  listChannels,
  testChannel,
  updateChannel,
  type ChannelDeps,
  type ChannelRow,
} from './channels/channels.ts';
export { decideAlert, type AlertSituation } from './rules/decide.ts';
export {
  attemptDelivery,
  outlastPosts,
  pendingDeliveries,
  workspaceOfDelivery,
  type DeliveryOutcome,
} from './delivery/deliver.ts';
export { HOLD_GRACE_MS, prolongHolds, renewHolds, setHoldEnd } from './rules/hold.ts';
export { alertCounts, listAlerts, type AlertResponse } from './episodes/list-alerts.ts';
export { notify, onTaskCancelled, onTaskFailed, onTaskRecovered, type AlertTask } from './rules/on-task.ts';
export { alertWebhookSchema } from './delivery/payload.ts';
export { readOverdueAlerts } from './rules/overdue.ts';
export { releaseOverdueAlerts, sweepAlerts } from './rules/release.ts';
export { readSettings, setReducedNotifications, type AlertSettings } from './channels/settings.ts';
