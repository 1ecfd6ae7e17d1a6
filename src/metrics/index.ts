export {
  countAlertDecisions,
  countAlertDelivery,
  countAttempt,
  countBookkeepingFailure,
  countCircuitOpening,
  countDeliveryRows,
  countEventWarnings,
  countLostStep,
  countRestoredSchedules,
  countQuarantinedEvents,
  countTaskOutcome,
  installMetrics,
  observeRequest,
  observeSlotWait,
  observeStep,
  uninstallMetrics,
} from './instruments.ts';
export { inBatchSpan, inStepSpan, installTracing, plannedSpanIds, traceAttempt, uninstallTracing } from './spans.ts';
