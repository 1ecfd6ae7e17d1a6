import { dropOldVersions } from '../compute/index.ts';
import type { TaskDeps } from './engine.ts';

/**
 * Deletes old versions from ClickHouse but for those that are live or were before, and those that an open run has computed or
 * pinned: to a definition that refers to it, a version that is not there is an audience without members. Returns how many.
 */
export async function dropUnusedVersions({ pool, clickhouse }: Pick<TaskDeps, 'pool' | 'clickhouse'>): Promise<number> {
  return await dropOldVersions(clickhouse, async () => {
    const { rows } = await pool.query<{ version: number | null }>(
      `with open_steps as (
         select s.name, s.output from tasks t join steps s on s.task_id = t.id
         where t.kind = 'run' and t.ended_at is null and s.completed_at is not null
       )
       select live_version as version from computations where deleted_at is null
       union select previous_version from computations where deleted_at is null
       union select (output ->> 'version')::bigint from open_steps where name = 'compute'
       union select (output ->> 'liveVersion')::bigint from open_steps where name = 'pin'
       union select (trait ->> 'version')::bigint
             from open_steps cross join lateral jsonb_path_query(output, '$.traits.*') as trait where name = 'pin'`,
    );
    return new Set(rows.flatMap(({ version }) => (version === null ? [] : [version])));
  });
}
