import { proxyActivities } from '@temporalio/workflow';

export { executeTask } from '../workflows/execute-task.ts';

const { bareCompute, bareDiff } = proxyActivities<{
  bareCompute(computationId: string): Promise<number>;
  bareDiff(computationId: string, version: number): Promise<void>;
}>({ startToCloseTimeout: '30 minutes', heartbeatTimeout: '30 seconds', retry: { maximumAttempts: 6 } });

/** What a person would write by hand who needs no trail: the same two remote activities, retried by Temporal. */
export async function bareTask(computationId: string): Promise<void> {
  const version = await bareCompute(computationId);
  await bareDiff(computationId, version);
}
