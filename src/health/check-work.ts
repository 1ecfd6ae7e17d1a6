import type { Client } from '@temporalio/client';
import { inTransaction, type PostgresPool } from '../store/index.ts';
import type { TaskQueues } from '../tasks/index.ts';
import type { HealthFinding, HealthLimits } from './findings.ts';
import { lookAtDatabase } from './look-at-database.ts';
import { lookAtTemporal } from './look-at-temporal.ts';
import { readMarks } from './marks.ts';

// Less than who asks waits, so that PostgreSQL gives up before its asker does.
const STATEMENT_TIMEOUT_MS = 1_500;

export interface WorkDeps extends HealthLimits {
  pool: PostgresPool;
  /** undefined where there is no way to Temporal, which somebody else says then. */
  temporal: Client | undefined;
  queues?: TaskQueues;
}

/**
 * Looks at the work, and not at ports: is a worker polling, when was the last tick, how long does what waits wait, what holds it back.
 * Changes nothing, and throws nothing: what can't be looked at is a finding too.
 */
export async function checkWork(deps: WorkDeps): Promise<HealthFinding[]> {
  let everySeconds: number | undefined;
  const findings: HealthFinding[] = [];
  try {
    await inTransaction(deps.pool, async (tx) => {
      await tx.query(`set transaction read only; set local statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
      const known = (await readMarks(tx)).schedules_checked?.details['everySeconds'];
      everySeconds = typeof known === 'number' ? known : undefined;
      findings.push(...(await lookAtDatabase(tx, deps)));
    });
  } catch (error) {
    findings.push({
      code: 'work_unknown',
      severity: 'degraded',
      message: 'PostgreSQL does not say how the work goes.',
      remedy: 'See what is said of PostgreSQL; where its schema is behind, run trailmark migrate.',
      detail: (error as Error).message,
    });
  }
  if (deps.temporal !== undefined) {
    findings.push(
      ...(await lookAtTemporal(deps.temporal, {
        everySeconds,
        ...(deps.queues === undefined ? {} : { queues: deps.queues }),
      })),
    );
  }
  return findings;
}
