import type { Transaction } from '../store/index.ts';

export interface DueComputation {
  id: string;
  workspaceId: string;
  spaceId: string;
  /** Why it is due: its first run, an edit that has not been computed, or its schedule. */
  reason: 'created' | 'edited' | 'scheduled';
}

/**
 * The compute service's answer to the scheduler: which computations are due now, oldest first. Their next run is set
 * in the same transaction, on their own beat, and what another scheduler is looking at is passed over. One that has a run
 * open stays due until that has its outcome: an edit in the meantime would else not be computed before its next beat.
 */
export async function takeDueComputations(tx: Transaction, limit: number): Promise<DueComputation[]> {
  const { rows } = await tx.query<DueComputation>(
    `with due as (
       select id from computations c
       where enabled and deleted_at is null and next_run_at <= now()
         and not exists (
           select from tasks t
           where t.computation_id = c.id and t.kind = 'run' and t.ended_at is null
         )
       order by next_run_at
       limit $1
       for no key update skip locked
     )
     update computations c
     set next_run_at = next_run_at + schedule_interval_seconds * interval '1 second'
         * (1 + floor(extract(epoch from now() - next_run_at) / schedule_interval_seconds))
     from due
     where c.id = due.id
     returning c.id, c.workspace_id as "workspaceId", c.space_id as "spaceId",
       case when live_version is null then 'created'
            when live_definition_version <> definition_version then 'edited'
            else 'scheduled' end as reason`,
    [limit],
  );
  return rows;
}
