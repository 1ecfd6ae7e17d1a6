export type { AlertAttempt, AlertRow } from './alert-row.ts';
export {
  createChannel,
  deleteChannel,
  getChannel,
  listChannels,
  testChannel,
  updateChannel,
  type ChannelDeps,
  type ChannelRow,
} from './channels.ts';
export { decideAlert, type AlertDecision, type AlertKind, type AlertSituation } from './decide.ts';
export { attemptDelivery, pendingDeliveries, type DeliveryOutcome } from './deliver.ts';
export {
  alertCounts,
  listAlerts,
  readAlert,
  type AlertQuery,
  type AlertResponse,
  type AlertState,
} from './list-alerts.ts';
export {
  notify,
  onTaskCancelled,
  onTaskFailed,
  onTaskRecovered,
  type AlertTask,
  type TaskFailedInput,
} from './on-task.ts';
export { alertWebhookSchema, type AlertWebhook } from './payload.ts';
export { releaseOverdueAlerts, sweepAlerts } from './release.ts';
export { readSettings, setReducedNotifications, type AlertSettings } from './settings.ts';
