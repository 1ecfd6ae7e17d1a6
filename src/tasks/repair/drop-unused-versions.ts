import { dropOldBitmaps, dropOldVersions } from '../../compute/index.ts';
import type { TaskDeps } from '../steps/contract.ts';
import { RETRY_DAYS } from '../control/retry/superseded.ts';

/**
 * Deletes old versions from ClickHouse but for those that are live or were before, and those that a run has computed or pinned
 * which is open, or which can be retried: to a definition that refers to it, a version that is not there is an audience without
 * members. Returns how many. Also what has been replaced of the bitmaps of baselines.
 */
export async function dropUnusedVersions({ pool, clickhouse }: Pick<TaskDeps, 'pool' | 'clickhouse'>): Promise<number> {
  await dropOldBitmaps(clickhouse);
  return await dropOldVersions(clickhouse, async () => {
    const { rows } = await pool.query<{ version: number | null }>(
      // A day longer than a run can be retried: what a person was just told is there must not go from under them.
      `with runs as (
         select id from tasks where kind = 'run' and ended_at is null
         union all
         select id from tasks
         where kind = 'run' and status in ('failed', 'cancelled') and ended_at > now() - ($1 + 1) * interval '1 day'
       ),
       kept_steps as (
         select s.name, s.output from runs join steps s on s.task_id = runs.id where s.completed_at is not null
       )
       select live_version as version from computations where deleted_at is null
       union select previous_version from computations where deleted_at is null
       union select (output ->> 'version')::bigint from kept_steps where name = 'compute'
       union select (output ->> 'liveVersion')::bigint from kept_steps where name = 'pin'
       union select (trait ->> 'version')::bigint
             from kept_steps cross join lateral jsonb_path_query(output, '$.traits.*') as trait where name = 'pin'`,
      [RETRY_DAYS],
    );
    return new Set(rows.flatMap(({ version }) => (version === null ? [] : [version])));
  });
}
