import type { PaginationInput, PaginationOutput } from '../../audit/index.ts';
import { hasVersions, listLeavers } from '../../compute/index.ts';
import type { ProfileIds } from '../../profiles/index.ts';
import { RequestError } from '../../errors.ts';
import type { ClickHouseClient, Queryable } from '../../store/index.ts';
import { readNumberedPage } from './numbered-page.ts';
import { readGuards } from './read-task.ts';
import type { GuardView } from './task-view.ts';

interface ComparedRun {
  space_id: string;
  computation_id: string;
  computation_kind: 'audience' | 'computed_trait';
  compared: boolean;
  live_version: number | null;
  computed_version: number | null;
}

/**
 * Who leaves an audience, or loses the value of a computed trait, when this run is committed: a page of them in the order of their profiles, and what the run does to the
 * members in all. It is there from when the run has compared what it computed with the live version, for as long as ClickHouse
 * has the two: for as long as the run is open, and some days after.
 *
 * Throws RequestError `task_not_found`, `leaving_not_known` (409: not compared yet, or no run) or `leaving_gone`
 * (404: dropped meanwhile).
 */
export async function readLeaving(
  stores: { pool: Queryable; clickhouse: ClickHouseClient },
  query: { workspaceId: string; taskId: string } & PaginationInput,
): Promise<{ guard: GuardView; leaving: ProfileIds[]; pagination: PaginationOutput }> {
  const { taskId } = query;
  const run = await readComparedRun(stores.pool, query);
  const [guard] = (await readGuards(stores.pool, [taskId])).get(taskId) ?? [];
  if (!run.compared || guard === undefined || run.computed_version === null) throw notKnown();
  if (run.live_version === null) {
    const { pagination } = await readNumberedPage(query, profileOf, async () => await Promise.resolve([]));
    return { guard, leaving: [], pagination };
  }
  const pair = {
    spaceId: run.space_id,
    computationId: run.computation_id,
    kind: run.computation_kind,
    from: run.live_version,
    to: run.computed_version,
  };
  if (!(await hasVersions(stores.clickhouse, pair))) {
    throw new RequestError(
      'not_found',
      'leaving_gone',
      'What this run computed, or what it compares it with, is not kept any more: it is dropped some days after a run has ended.',
      { field: 'taskId' },
    );
  }
  const { rows, pagination } = await readNumberedPage(
    query,
    profileOf,
    async (request) => await listLeavers(stores.clickhouse, pair, request),
  );
  return { guard, leaving: rows, pagination };
}

async function readComparedRun(db: Queryable, query: { workspaceId: string; taskId: string }): Promise<ComparedRun> {
  const { rows } = await db.query<ComparedRun>(
    `select t.space_id, t.computation_id, c.kind as computation_kind,
            t.kind = 'run' and diff.completed_at is not null as compared,
            (pin.output ->> 'liveVersion')::bigint as live_version, (computed.output ->> 'version')::bigint as computed_version
     from tasks t
     join computations c on c.id = t.computation_id
     left join steps pin on pin.task_id = t.id and pin.name = 'pin'
     left join steps computed on computed.task_id = t.id and computed.name = 'compute'
     left join steps diff on diff.task_id = t.id and diff.name = 'diff'
     where t.workspace_id = $1 and t.id = $2`,
    [query.workspaceId, query.taskId],
  );
  if (rows[0] !== undefined) return rows[0];
  throw new RequestError('not_found', 'task_not_found', `There is no task ${query.taskId} in this workspace.`, {
    field: 'taskId',
  });
}

function notKnown(): RequestError {
  return new RequestError(
    'conflict',
    'leaving_not_known',
    'Who would leave is known of a run, once it has compared what it computed with the live version: after its step diff.',
    { field: 'taskId' },
  );
}

function profileOf(row: ProfileIds): number {
  return row.profile;
}
