export { isFailureCode } from '../errors.ts';
export { createAdmitter, type Admitter, type RunningAdmitter } from './scheduling/admission.ts';
export { beginAttempt, cancelAbandonedTask, cancelOpenTasks, mayGoOn } from './attempts/attempts.ts';
export { countOverdueTasks, readBacklog } from './scheduling/backlog.ts';
export { classifyError } from './attempts/classify-error.ts';
export { createTask } from './scheduling/create-task.ts';
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
} from './scheduling/dispatch.ts';
export { editDestination, removeDestination } from './control/edit-destination.ts';
export { editComputation } from './control/edit-computation.ts';
export { dropUnusedVersions } from './repair/drop-unused-versions.ts';
export { beginTask, executeActivityStep, executeTransactionSteps } from './steps/execute-steps.ts';
export { type TaskDeps } from './steps/contract.ts';
export { exportRejectedRows } from './history/export-rejected.ts';
export { asksFirst } from './steps/run/guard.ts';
export { listTasks } from './history/list-tasks.ts';
export { STEP_WAITS, stepsOf, WORKER_STOPPED, type StepName, type TaskKind, type WantedStep } from './model/kinds.ts';
export { type TaskOutcome } from './model/task.ts';
export { readLeaving } from './history/leaving.ts';
export { latestTasks, readOverview, type Overview } from './history/overview.ts';
export { outlastSends } from './control/outlast-sends.ts';
export { readTask } from './history/read-task.ts';
export { reconcileTasks, type Reconciled } from './repair/reconcile-tasks.ts';
export { recordFailure, type FailureDecision } from './attempts/record-failure.ts';
export { DEFAULT_BACKOFF, MAX_ATTEMPTS, retryBudgetMs, retryDelayMs, type Backoff } from './model/retry-policy.ts';
export { listRejectedRows, readRejectedRows, type RejectedRow } from './history/rejected-rows.ts';
export { interruptStep } from './attempts/step-executions.ts';
export { StepWaits } from './attempts/checkpoints.ts';
export { standingHardFailures } from './history/standing-failures.ts';
export {
  createSharedSlots,
  takeAlertSlot,
  takeStepSlot,
  WAITING_ROOM,
  type SharedSlots,
} from './scheduling/shared-slots.ts';
export { readTaskActions, type TaskActions } from './control/task-actions.ts';
export { inWords } from './history/task-truth.ts';
export { type StepExecutionView, type TaskView } from './history/task-view.ts';
export { foldForgotten } from './steps/sync/settled-ranges.ts';
export {
  ensureSchedules,
  inspectSchedules,
  restoreSchedules,
  type SchedulesOptions,
} from './scheduling/ensure-schedules.ts';
export { scheduleDueTasks } from './scheduling/schedule.ts';
export { ensureSearchAttributes } from './scheduling/search-attributes.ts';
export { keepBooks, readUnrecorded } from './attempts/unrecorded.ts';
export { approveRun, discardRun } from './control/answer-guard.ts';
export { cancelTask } from './control/cancel-task.ts';
export { forceRun } from './control/force-run.ts';
export { pauseComputation, resumeComputation } from './control/pause-computation.ts';
export { redriveRejected } from './control/retry/redrive.ts';
export { resumeConnection } from './control/resume-connection.ts';
export { requestResync } from './control/resync.ts';
export { retryTask } from './control/retry/retry-task.ts';
export { readTaskSettings, updateTaskSettings, type TaskSettings } from './control/task-settings.ts';
