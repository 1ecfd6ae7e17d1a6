import { pinDefinition, resolverOf, commitVersion } from '../../../computations/index.ts';
import {
  computeVersion,
  diffVersions,
  nextVersion,
  requireVersions,
  type VersionDiff,
} from '../../../compute/index.ts';
import { TaskFailure } from '../../../errors.ts';
import { awaitEvents } from './await-events.ts';
import { createTask } from '../../scheduling/create-task.ts';
import type { ActivityStep, TransactionStep } from '../contract.ts';
import { outputOf } from '../../model/task.ts';

/** pin: fixes the definition's version and the moment as of which the run computes, so that a retry computes the same. */
export const pin: TransactionStep = async (tx, task) => {
  const pinned = await pinDefinition(tx, task.computation_id);
  if (pinned === null) throw new TaskFailure('computation_missing', `no computation ${task.computation_id}`);
  return { output: pinned };
};

/**
 * compute: this run's version, under a number of its own. It waits for the events of before the run, within bounds; where they do not
 * come, it computes as of when they stop, and says so.
 */
export const compute: ActivityStep = async (step) => {
  const { deps, task, signal, timeoutMs } = step;
  const pinned = outputOf(task, 'pin');
  const { asOf, behind } = await awaitEvents(step, new Date(pinned.asOf));
  const context = { clickhouse: deps.clickhouse, signal, timeoutMs };
  await requireVersions(context, Object.values(pinned.traits));
  const version = await nextVersion(deps.pool);
  const size = await computeVersion(
    context,
    {
      computationId: task.computation_id,
      kind: task.computation_kind,
      spaceId: task.space_id,
      definitionQuery: pinned.query,
      asOf,
      traits: resolverOf(pinned.traits),
    },
    version,
  );
  return { output: { version, size, ...(behind ? { asOf: asOf.toISOString(), behind } : {}) } };
};

/** diff: how this run's version differs from the live one. */
export const diff: ActivityStep = async ({ deps, task, signal, timeoutMs }) => {
  const pinned = outputOf(task, 'pin');
  const computed = outputOf(task, 'compute');
  const context = { clickhouse: deps.clickhouse, signal, timeoutMs };
  const versions = [
    { version: computed.version, size: computed.size },
    ...(pinned.liveVersion === null ? [] : [{ version: pinned.liveVersion, size: pinned.liveSize }]),
  ];
  // One that is not there would read as an empty one: everybody would leave, or nobody would have been in.
  await requireVersions(
    context,
    versions.map((one) => ({ ...one, computationId: task.computation_id, from: task.computation_kind })),
  );
  const output: VersionDiff = await diffVersions(
    context,
    { id: task.computation_id, spaceId: task.space_id, kind: task.computation_kind },
    pinned.liveVersion,
    computed.version,
  );
  return { output };
};

/** commit: flips the live version; the old one stays for comparison. */
export const commit: TransactionStep = async (tx, task) => {
  const pinned = outputOf(task, 'pin');
  const computed = outputOf(task, 'compute');
  const differs = outputOf(task, 'diff');
  const isLive = await commitVersion(tx, task.computation_id, {
    version: computed.version,
    asOf: computed.asOf ?? pinned.asOf,
    size: computed.size,
    definitionVersion: pinned.definitionVersion,
  });
  if (!isLive) throw new TaskFailure('computation_missing', `no computation ${task.computation_id}`);
  const { version, size, asOf, behind } = computed;
  return { output: { version, members: size, ...differs, ...(behind === true ? { asOf, behind } : {}) } };
};

/**
 * fan_out: one sync task for each connected destination that has none open and is not suspended; one that is open catches up by
 * itself.
 */
export const fanOut: TransactionStep = async (tx, task) => {
  const committed = outputOf(task, 'commit');
  const { rows } = await tx.query<{ id: string }>(
    `select n.id from connections n
     join destinations d on d.id = n.destination_id
     where n.computation_id = $1 and n.enabled and n.suspended_at is null and d.enabled and d.deleted_at is null
     order by n.id`,
    [task.computation_id],
  );
  const syncs: string[] = [];
  for (const { id } of rows) {
    const sync = await createTask(tx, {
      workspaceId: task.workspace_id,
      spaceId: task.space_id,
      computationId: task.computation_id,
      connectionId: id,
      parentTaskId: task.id,
      kind: 'sync',
      reason: 'fan_out',
    });
    if (sync !== null) syncs.push(sync);
  }
  return { output: { ...committed, syncs: syncs.length }, dispatch: syncs };
};
