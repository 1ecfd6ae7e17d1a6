export { isFailureCode } from '../errors.ts';
export { createAdmitter, type Admitter, type RunningAdmitter } from './admission.ts';
export { beginAttempt, cancelAbandonedTask, cancelOpenTasks, mayGoOn } from './attempts.ts';
export { countOverdueTasks, readBacklog } from './backlog.ts';
export { classifyError } from './classify-error.ts';
export { createTask } from './create-task.ts';
export {
  createTaskStarter,
  createTaskWaker,
  startDelivery,
  taskQueues,
  WORK_KINDS,
  type TaskQueues,
  type TaskStarter,
  type TaskWaker,
  type WorkKind,
} from './dispatch.ts';
export { editDestination, removeDestination } from './edit-destination.ts';
export { editComputation } from './edit-computation.ts';
export { dropUnusedVersions } from './drop-unused-versions.ts';
export { beginTask, executeActivityStep, executeTransactionSteps, type TaskDeps } from './engine.ts';
export { exportRejectedRows } from './export-rejected.ts';
export { asksFirst } from './guard.ts';
export { listTasks } from './history.ts';
export { STEP_WAITS, stepsOf, WORKER_STOPPED, type StepName, type TaskKind, type WantedStep } from './kinds.ts';
export { type TaskOutcome } from './load-task.ts';
export { readLeaving } from './leaving.ts';
export { latestTasks, readOverview, type Overview } from './overview.ts';
export { outlastSends } from './outlast-sends.ts';
export { readTask } from './read-task.ts';
export { reconcileTasks, type Reconciled } from './reconcile/reconcile-tasks.ts';
export { recordFailure, type FailureDecision } from './record-failure.ts';
export { DEFAULT_BACKOFF, MAX_ATTEMPTS, retryBudgetMs, retryDelayMs, type Backoff } from './retry-policy.ts';
export { listRejectedRows, readRejectedRows, type RejectedRow } from './rejected-rows.ts';
export { interruptStep } from './step-executions.ts';
export { StepWaits } from './steps.ts';
export { standingHardFailures } from './standing-failures.ts';
export { createSharedSlots, takeAlertSlot, takeStepSlot, WAITING_ROOM, type SharedSlots } from './shared-slots.ts';
export { readTaskActions, type TaskActions } from './task-actions.ts';
export { inWords } from './task-truth.ts';
export { type StepExecutionView, type TaskView } from './task-view.ts';
export { foldForgotten } from './settled-ranges.ts';
export { ensureSchedules, inspectSchedules, restoreSchedules, type SchedulesOptions } from './ensure-schedules.ts';
export { scheduleDueTasks } from './schedule.ts';
export { ensureSearchAttributes } from './search-attributes.ts';
export { keepBooks, readUnrecorded } from './unrecorded.ts';
export { approveRun, discardRun } from './steer/answer-guard.ts';
export { cancelSteered } from './steer/cancel-task.ts';
export { forceRun } from './steer/force-run.ts';
export { pauseComputation, resumeComputation } from './steer/pause-computation.ts';
export { redriveRejected } from './steer/redrive.ts';
export { resumeConnection } from './steer/resume-connection.ts';
export { requestResync } from './steer/resync.ts';
export { retryTask } from './steer/retry-task.ts';
export { readTaskSettings, updateTaskSettings, type TaskSettings } from './steer/task-settings.ts';
