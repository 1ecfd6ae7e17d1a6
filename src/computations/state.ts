import type { Transaction } from '../store/index.ts';

/*
 * What runs, people and the system make of computations, besides their definitions. Nobody else writes the table; audit events are the
 * callers', who know why.
 */

/** Counts a hard failure of a computation's runs. Undefined where it was deleted. */
export async function countRunFailure(
  tx: Transaction,
  computationId: string,
): Promise<{ hardFailures: number; enabled: boolean } | undefined> {
  const { rows } = await tx.query<{ hardFailures: number; enabled: boolean }>(
    `update computations set hard_failures = hard_failures + 1 where id = $1 and deleted_at is null
     returning hard_failures as "hardFailures", enabled`,
    [computationId],
  );
  return rows[0];
}

/** Ends the row of hard failures of a computation's runs. */
export async function clearRunFailures(tx: Transaction, computationId: string): Promise<void> {
  await tx.query({
    name: 'clear-failures-of-runs',
    text: 'update computations set hard_failures = 0 where id = $1 and hard_failures > 0',
    values: [computationId],
  });
}

/** Disables a computation, for a reason that people read. */
export async function disableComputation(tx: Transaction, computationId: string, reason: string): Promise<void> {
  await tx.query('update computations set enabled = false, disabled_reason = $2 where id = $1', [
    computationId,
    reason,
  ]);
}

/** Pauses a computation. Returns when; undefined where it is paused already, or was deleted. */
export async function notePaused(tx: Transaction, computationId: string, by: string): Promise<Date | undefined> {
  const { rows } = await tx.query<{ paused_at: Date }>(
    `update computations set paused_at = clock_timestamp(), paused_by = $2
     where id = $1 and deleted_at is null and paused_at is null returning paused_at`,
    [computationId, by],
  );
  return rows[0]?.paused_at;
}

/** Ends a pause. Returns since when it was paused; undefined where it was not, or was deleted. */
export async function noteResumed(tx: Transaction, computationId: string): Promise<Date | undefined> {
  const { rows } = await tx.query<{ paused_at: Date }>(
    `with paused as (
       select id, paused_at from computations where id = $1 and deleted_at is null and paused_at is not null for no key update
     )
     -- what was missed meanwhile is due from now on, and so is nothing that the trail calls late
     update computations c set paused_at = null, paused_by = null, next_run_at = greatest(next_run_at, now())
     from paused where c.id = paused.id
     returning paused.paused_at`,
    [computationId],
  );
  return rows[0]?.paused_at;
}

/** Makes a version live; the one before stays for comparison. `asOf` is ISO 8601. False where the computation was deleted. */
export async function commitVersion(
  tx: Transaction,
  computationId: string,
  live: { version: number; asOf: string; size: number; definitionVersion: number },
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update computations
     set previous_version = live_version, live_version = $2, live_as_of = $3, live_size = $4, live_definition_version = $5
     where id = $1 and deleted_at is null`,
    [computationId, live.version, live.asOf, live.size, live.definitionVersion],
  );
  return rowCount === 1;
}
