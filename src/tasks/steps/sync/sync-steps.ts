import { keepExternalAudienceId, noteSynced } from '../../../connections/index.ts';
import {
  forgetUnsettled,
  freezeChanges,
  keepRedrivenProfiles,
  nextVersion,
  requireVersions,
} from '../../../compute/index.ts';
import { circuitOutcome, PermitWithdrawn, prepareAudience, reportToCircuit } from '../../../destinations/index.ts';
import { TaskFailure } from '../../../errors.ts';
import { createTask } from '../../scheduling/create-task.ts';
import type { ActivityStep, TransactionStep } from '../contract.ts';
import { readExtractScope, redrivenProfiles } from './extract-scope.ts';
import { openSync } from './open-sync.ts';
import { outputOf, type ExtractOutput } from '../../model/task.ts';
import { StepWaits } from '../../attempts/checkpoints.ts';
import type { Queryable } from '../../../store/index.ts';
import { foldSettled, keepBitmaps } from './settled-ranges.ts';
import { readUnsettled } from './unsettled.ts';

/** prepare: creates or finds the audience at the destination. */
export const prepare: ActivityStep = async ({ deps, task, signal }) => {
  const sync = await openSync(deps, task);
  const externalAudienceId = await prepareAudience(deps.destinations, {
    destination: sync.destination,
    computation: sync.computation,
    audienceSettings: sync.audienceSettings,
    externalAudienceId: sync.externalAudienceId,
    signal,
    mayGo: sync.permit.ask,
  }).catch(async (error: unknown) => {
    // Whoever begins it again finds out whether it goes on.
    if (error instanceof PermitWithdrawn) throw new StepWaits(0);
    // Its own failures are few and tell as much of the destination as deliver's; that it is back, deliver finds out.
    const absent = error instanceof TaskFailure && circuitOutcome({ kind: 'failed', failure: error }) === 'failed';
    if (absent) await reportToCircuit(deps.pool, sync.circuit, 'failed', error.code);
    throw error;
  });
  return {
    output: { externalAudienceId },
    effect: async (tx) => await keepExternalAudienceId(tx, sync.connectionId, externalAudienceId),
  };
};

/**
 * extract: freezes the changes between the baseline and the version that is live now; all that is live where someone asked for
 * it to be sent again; of a redrive, the changes of the profiles that were rejected.
 */
export const extract: ActivityStep = async ({ deps, task, signal, timeoutMs }) => {
  // Before anything is frozen: who asks for everything later than this is not served by this extract.
  const { scope, resyncRequestedAt } = await readExtractScope(deps.pool, task);
  const sync = await openSync(deps, task);
  if (sync.liveVersion === null || sync.liveAsOf === null) {
    throw new TaskFailure('unknown', `${task.computation_id} has no live version to sync`);
  }
  const context = { clickhouse: deps.clickhouse, signal, timeoutMs };
  const live = { version: sync.liveVersion, size: sync.liveSize };
  await requireVersions(context, [{ ...live, computationId: task.computation_id, from: task.computation_kind }]);
  // What an earlier sync got acknowledged, and what it may have sent without hearing of it.
  await foldSettled(deps.pool, context, sync.connectionId);
  const unsettled = await readUnsettled(deps.pool, task);
  if (unsettled !== null) {
    await forgetUnsettled(context, sync.connectionId, unsettled, await nextVersion(deps.pool));
  }
  const since = task.computation_kind === 'audience' ? await keepBitmaps(deps.pool, context, sync.connectionId) : 0;
  const extractId = await nextVersion(deps.pool);
  if (scope === 'redriven') {
    await keepRedrivenProfiles(deps.clickhouse, extractId, redrivenProfiles(deps.pool, task.id));
  }
  const { changes, outgrown } = await freezeChanges(
    context,
    {
      id: sync.connectionId,
      spaceId: task.space_id,
      computationId: task.computation_id,
      kind: task.computation_kind,
      version: sync.liveVersion,
    },
    extractId,
    scope,
    since,
  );
  const output: ExtractOutput = {
    extractId,
    version: sync.liveVersion,
    asOf: sync.liveAsOf.toISOString(),
    changes,
    outgrown,
    scope,
    resyncRequestedAt,
    destinationRevision: sync.destinationRevision,
  };
  return { output };
};

/** reconcile: what was delivered, rejected and skipped is all there was, or the step fails. */
export const reconcile: TransactionStep = async (tx, task) => {
  const { changes } = outputOf(task, 'extract');
  const { delivered, rejected, skipped } = outputOf(task, 'deliver');
  const kept = await tx.query<{ rows: number }>('select count(*) as rows from rejected_rows where task_id = $1', [
    task.id,
  ]);
  const rejectedRows = kept.rows[0]?.rows ?? 0;
  if (changes !== delivered + rejected + skipped || rejected !== rejectedRows) {
    throw new TaskFailure(
      'reconcile_mismatch',
      `${changes} changes, but ${delivered} delivered + ${rejected} rejected (${rejectedRows} kept) + ${skipped} skipped`,
    );
  }
  // One bad row alone in a later difference is a rejected row, not a failure of the sync: it would alert at every interval.
  if (changes > 0 && rejected === changes && !(await hasAcknowledged(tx, task.connection_id))) {
    throw new TaskFailure('destination_rejected_all', `all ${changes} changes were rejected`);
  }
  return { output: { changes, delivered, rejected, skipped } };
};

/**
 * finish: notes what the destination has now, and makes a further sync where a newer version went live meanwhile, people were taken out
 * under an id that they have outgrown, or someone changed the destination or asked for everything after this sync's extract: what had no subscription before may have one. A redrive sent a part of the difference only, so it notes no version.
 */
export const finish: TransactionStep = async (tx, task) => {
  const { version, scope, resyncRequestedAt, destinationRevision, outgrown = 0 } = outputOf(task, 'extract');
  const counts = outputOf(task, 'reconcile');
  // The lock waits for a commit that is under way: it found this sync open, so it leaves the version that it makes live to us.
  // And it comes before the connection's, in the order of whoever enables the computation.
  const live = await tx.query<{ live_version: number }>(
    'select live_version from computations where id = $1 and deleted_at is null for share',
    [task.computation_id],
  );
  const synced = await noteSynced(tx, {
    connectionId: task.connection_id,
    version,
    partial: scope === 'redriven',
    resyncRequestedAt: resyncRequestedAt ?? null,
  });
  const liveVersion = live.rows[0]?.live_version;
  const result = { version, ...counts };
  if (!task.connected || synced === undefined || liveVersion === undefined) return { output: result };
  const behind = synced.syncedVersion === null || liveVersion > synced.syncedVersion;
  const changed = synced.destinationRevision !== (destinationRevision ?? synced.destinationRevision);
  // Of whom some were taken out under a former id who may have to be told under their own. Where all of them may have been refused there is
  // nothing new to tell, and to try them again is for the next sync.
  const renamed = outgrown > counts.rejected + counts.skipped;
  if (!behind && !changed && !synced.resync && !renamed) return { output: result };
  return {
    output: result,
    // The task's own end comes before this, in the same transaction: only then is there room for another sync.
    afterEnd: async () => {
      const next = await createTask(tx, {
        workspaceId: task.workspace_id,
        spaceId: task.space_id,
        computationId: task.computation_id,
        connectionId: task.connection_id ?? '',
        kind: 'sync',
        reason: synced.resync ? 'resync' : 'catch_up',
      });
      return next === null ? [] : [next];
    },
  };
};

/** Whether a sync of the connection has ever succeeded. */
async function hasAcknowledged(tx: Queryable, connectionId: string | null): Promise<boolean> {
  const { rowCount } = await tx.query('select from connections where id = $1 and synced_version is not null', [
    connectionId,
  ]);
  return rowCount !== 0;
}
