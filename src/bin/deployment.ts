import type { Client } from '@temporalio/client';
import { RequestError } from '../errors.ts';
import { DEPLOYMENT } from './workers.ts';

/** One build that workers of this namespace run, or ran. */
export interface Build {
  buildId: string;
  /**
   * current: new work goes to it, and what is under way goes on in it. ramping: a share of that does. draining, drained: was
   * current, with workflows that are pinned to it still, or without. inactive: its workers wait to be told.
   */
  status: 'current' | 'ramping' | 'draining' | 'drained' | 'inactive' | 'unknown';
  /** The share of work that goes to it, in percent; null where it is not ramping. */
  rampPercent: number | null;
}

// WorkerDeploymentVersionStatus of Temporal's API
const STATUSES: Record<number, Build['status']> = {
  1: 'inactive',
  2: 'current',
  3: 'ramping',
  4: 'draining',
  5: 'drained',
};
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;

/** The builds that Temporal knows of, newest first; none where every worker runs without one. */
export async function listBuilds(temporal: Client): Promise<Build[]> {
  const { namespace } = temporal.options;
  try {
    const { workerDeploymentInfo: info } = await temporal.workflowService.describeWorkerDeployment({
      namespace,
      deploymentName: DEPLOYMENT,
    });
    const ramping = info?.routingConfig?.rampingDeploymentVersion?.buildId;
    return (info?.versionSummaries ?? []).map(({ deploymentVersion, status }) => {
      const buildId = deploymentVersion?.buildId ?? '';
      return {
        buildId,
        status: STATUSES[Number(status)] ?? 'unknown',
        rampPercent: buildId === ramping ? (info?.routingConfig?.rampingVersionPercentage ?? null) : null,
      };
    });
  } catch (error) {
    if ((error as { code?: number }).code === NOT_FOUND) return [];
    throw error;
  }
}

/**
 * Makes a build current, or gives it a share of the work, in percent. Throws a RequestError where no worker runs it, or its
 * workers do not serve every queue that those of the current build do: work of those queues would wait for ever.
 */
export async function deployBuild(
  temporal: Client,
  build: { buildId: string; rampPercent?: number | undefined },
): Promise<void> {
  const { buildId, rampPercent } = build;
  const request = {
    namespace: temporal.options.namespace,
    deploymentName: DEPLOYMENT,
    buildId,
    identity: 'trailmark deploy',
  };
  try {
    if (rampPercent === undefined) await temporal.workflowService.setWorkerDeploymentCurrentVersion(request);
    else {
      await temporal.workflowService.setWorkerDeploymentRampingVersion({ ...request, percentage: rampPercent });
    }
  } catch (error) {
    const { code, details } = error as { code?: number; details?: string };
    if (code === NOT_FOUND) {
      throw new RequestError(
        'not_found',
        'build_not_found',
        `No worker has run build ${buildId}. Start its workers first (TRAILMARK_BUILD_ID=${buildId} trailmark worker): they wait until it is deployed.`,
        { field: '--build-id', cause: error },
      );
    }
    if (code === FAILED_PRECONDITION) {
      throw new RequestError(
        'conflict',
        'build_not_ready',
        `Build ${buildId} can't take over: ${details ?? 'Temporal refused'}. Start workers of it that serve every queue, and leave the others running until it has.`,
        { field: '--build-id', cause: error },
      );
    }
    throw error;
  }
}
