import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ComputationKind } from '../../../computations/index.ts';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { registerBackfill } from './backfill.ts';
import { registerConnect } from '../connections/connect.ts';
import { registerCreateComputation } from './create-computation.ts';
import { registerDeleteComputation } from './delete-computation.ts';
import { registerDisconnect } from '../connections/disconnect.ts';
import { registerDryRun } from './dry-run/dry-run.ts';
import { registerGetComputation } from './get-computation.ts';
import { registerGetOverview } from './get-overview.ts';
import { registerListComputationTasks } from './list-computation-tasks.ts';
import { registerListComputations } from './list-computations.ts';
import { registerListConnections } from '../connections/list-connections.ts';
import { registerPause } from './pause.ts';
import { registerPreview } from './dry-run/preview.ts';
import { registerResume } from './resume.ts';
import { registerResumeConnection } from '../connections/resume-connection.ts';
import { registerResync } from './resync.ts';
import { registerRunNow } from './run-now.ts';
import { registerUpdateComputation } from './update-computation.ts';
import { registerUpdateConnection } from '../connections/update-connection.ts';

const REGISTER = [
  registerListComputations,
  registerCreateComputation,
  registerGetComputation,
  registerUpdateComputation,
  registerDeleteComputation,
  registerGetOverview,
  registerListComputationTasks,
  registerDryRun,
  registerPreview,
  registerRunNow,
  registerBackfill,
  registerPause,
  registerResume,
  registerResync,
  registerListConnections,
  registerConnect,
  registerUpdateConnection,
  registerResumeConnection,
  registerDisconnect,
];

/** The routes of audiences and of computed traits: the same ones, under their own paths and words. */
export function registerComputations(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  for (const kind of ['audience', 'computed_trait'] satisfies ComputationKind[]) {
    for (const register of REGISTER) register(kind, app, deps);
  }
}
