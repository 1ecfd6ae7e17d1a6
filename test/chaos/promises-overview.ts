import { result, type Evidence, type PromiseResult } from './evidence.ts';
import { pathOf, type Workspace } from './world.ts';

interface Task {
  id: string;
  kind: 'run' | 'sync';
  status: string;
  attempts: { attempt: number; outcome: string | null }[];
  truth: { state: string };
}

interface Overview {
  hardFailures: Task[];
  runs: Task[];
  syncs: Task[];
}

interface TrailEvent {
  type: string;
  taskId: string | null;
  attempt: number | null;
}

/**
 * Overview and trail agree on each computation, both as the API answers them: which attempts failed, which tasks failed for good,
 * which recovered, and which hard failures stand.
 */
export async function checkOverviews(evidence: Evidence): Promise<PromiseResult> {
  const { rows } = await evidence.pool.query<{ id: string; kind: 'audience' | 'computed_trait'; workspace_id: string }>(
    'select id, kind, workspace_id from computations where deleted_at is null order by id',
  );
  const broken: string[] = [];
  const counts = { tasks: 0, failures: 0, hardFailures: 0, recoveries: 0, standing: 0 };
  for (const row of rows) {
    const workspace = evidence.world.workspaces.find(({ id }) => id === row.workspace_id);
    if (workspace === undefined) continue;
    const path = `/spaces/${workspace.spaceId}/${pathOf(row.kind)}/${row.id}/overview?limit=50`;
    const overview = await workspace.owner.call<Overview>('GET', path);
    const trail = await readTrail(workspace, row.id);
    for (const task of [...overview.runs, ...overview.syncs]) {
      counts.tasks += 1;
      broken.push(...compare(task, trail.get(task.id) ?? [], counts));
    }
    for (const wrong of standing(overview)) broken.push(`${row.id}: ${wrong}`);
    counts.standing += overview.hardFailures.length;
  }
  return result('Overview and trail agree', rows.length, broken, counts);
}

/** All events of a computation that are about a task, by task. */
async function readTrail(workspace: Workspace, computationId: string): Promise<Map<string, TrailEvent[]>> {
  const byTask = new Map<string, TrailEvent[]>();
  let cursor: string | undefined;
  do {
    const query = new URLSearchParams({ resourceId: computationId, 'pagination[count]': '200' });
    if (cursor !== undefined) query.set('pagination[cursor]', cursor);
    const page = await workspace.owner.call<{ events: TrailEvent[]; pagination: { next?: string | null } }>(
      'GET',
      `/audit-events?${query.toString()}`,
    );
    for (const event of page.events) {
      if (event.taskId === null) continue;
      const known = byTask.get(event.taskId) ?? [];
      byTask.set(event.taskId, known);
      known.push(event);
    }
    cursor = page.pagination.next ?? undefined;
  } while (cursor !== undefined);
  return byTask;
}

function compare(
  task: Task,
  events: readonly TrailEvent[],
  counts: { failures: number; hardFailures: number; recoveries: number },
): string[] {
  const told = (word: string): (number | null)[] =>
    events.filter(({ type }) => type.endsWith(` ${word}`)).map(({ attempt }) => attempt);
  const shown = task.attempts.filter(({ outcome }) => outcome === 'failed').map(({ attempt }) => attempt);
  const failed = told('Failed').sort((a, b) => (a ?? 0) - (b ?? 0));
  const hard = told('Hard Failure').length;
  const recovered = told('Recovered').length;
  counts.failures += shown.length;
  counts.hardFailures += hard;
  counts.recoveries += recovered;
  const wrong: string[] = [];
  if (JSON.stringify(failed) !== JSON.stringify(shown)) {
    wrong.push(`${task.id}: Overview has failed attempts ${shown.join(', ')}, the trail ${failed.join(', ')}`);
  }
  if ((task.status === 'failed') !== (hard === 1))
    wrong.push(`${task.id} is ${task.status}, ${hard} hard failures told`);
  if ((task.truth.state === 'recovered') !== (recovered === 1)) {
    wrong.push(`${task.id} is ${task.truth.state}, and ${recovered} recoveries are told`);
  }
  return wrong;
}

/** At rest every connection is in step: nothing stands. A hard failure that is shown as standing has to be a failed task. */
function standing({ hardFailures }: Overview): string[] {
  return hardFailures.map(({ id, status }) => `the hard failure of ${id} (${status}) still stands`);
}
