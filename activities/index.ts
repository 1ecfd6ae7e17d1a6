import { createAlertActivities } from './alerts.ts';
import { createAttemptActivities } from './attempts.ts';
import type { ActivityDeps } from './deps.ts';
import { createRepairActivities } from './repair.ts';
import { createSchedulingActivities } from './scheduling.ts';
import { createStepActivities } from './steps.ts';

export type Activities = ReturnType<typeof createActivities>;

/** What workflows call: thin, each a call into src. Errors become ApplicationFailures whose type is the failure's code. */
export function createActivities(deps: ActivityDeps) {
  return {
    ...createAttemptActivities(deps),
    ...createStepActivities(deps),
    ...createSchedulingActivities(deps),
    ...createRepairActivities(deps),
    ...createAlertActivities(deps),
  };
}
