import { recordAuditEvent, SYSTEM_ACTOR, type Actor } from '../../audit/index.ts';
import { FAILURES, type FailureCode } from '../../errors.ts';
import { countCircuitOpening } from '../../metrics/index.ts';
import { inTransaction, onCommit, type PostgresPool, type Queryable, type Transaction } from '../../store/index.ts';
import type { DeliveryStop } from '../actions-core/outcome.ts';

/**
 * The circuit breaker of a destination. One row in PostgreSQL, which every worker asks, so that a tool that is down holds nobody:
 *
 * ```
 *            5 failures in a row                      open_until is over
 *  closed ─────────────────────────▶ open ◀──────────────────────────────▶ half open: one sync at a time tries
 *    ▲                                                the one failed: twice as long     │
 *    └──────────────────────────────────── an answer ◀─────────────────────────────────┘
 * ```
 *
 * An answer is whatever shows that the tool is there: also a refusal, or being asked to slow down. What time it is, PostgreSQL
 * says, so that workers whose clocks differ agree.
 */

/** So many failures in a row, of whatever sync, open it. */
export const OPENS_AFTER = 5;
/** How long it is open at first; each failed try doubles it. */
export const FIRST_OPEN_MS = 30_000;
export const MAX_OPEN_MS = 10 * 60_000;
/** How long the one that tries has for it. It may have been killed: then the next one tries. Longer than one call may take. */
export const PROBE_MS = 120_000;
/** When to ask again while another tries: it may be done at any moment. */
export const ASK_AGAIN_MS = 5_000;

export type Circuit =
  | { state: 'closed' }
  /** Whoever gets this tries whether the destination is back, and has to report it. */
  | { state: 'probe' }
  | { state: 'open'; retryAfterMs: number };

/** Whose circuit it is: what its audit events need to say. */
export interface CircuitDestination {
  id: string;
  workspaceId: string;
  spaceId: string;
  name: string;
}

/**
 * Asks whether a destination may be sent to now. One statement, in or outside of a transaction. Of many that ask when an open
 * circuit's time is over, one gets `probe`; the others are told to come again.
 */
export async function enterCircuit(db: Queryable, destinationId: string): Promise<Circuit> {
  const { rows } = await db.query<{ probe: boolean; remaining_ms: number }>(
    `with claimed as (
       update destination_circuits
       set probe_until = clock_timestamp() + $2 * interval '1 millisecond', updated_at = clock_timestamp()
       where destination_id = $1 and opened_at is not null and open_until <= clock_timestamp()
         and (probe_until is null or probe_until <= clock_timestamp())
       returning destination_id
     )
     select exists (select from claimed) as probe,
            (extract(epoch from open_until - clock_timestamp()) * 1000)::float8 as remaining_ms
     from destination_circuits where destination_id = $1 and opened_at is not null`,
    [destinationId, PROBE_MS],
  );
  const [row] = rows;
  if (row === undefined) return { state: 'closed' };
  if (row.probe) return { state: 'probe' };
  // Over, and another has it: the row that was read may be older than that claim.
  if (row.remaining_ms <= 0) return { state: 'open', retryAfterMs: ASK_AGAIN_MS };
  return { state: 'open', retryAfterMs: Math.ceil(row.remaining_ms) };
}

/** What the end of a call to a destination says about it; null for nothing: we broke off, or failed on our own side. */
export function circuitOutcome(stopped: DeliveryStop | null): 'answered' | 'failed' | null {
  if (stopped === null) return 'answered';
  if (stopped.kind === 'aborted' || stopped.kind === 'withdrawn') return null;
  return FAILURES[stopped.failure.code].circuit ?? null;
}

/**
 * Tells the circuit how a call ended. `answered` closes it and forgets the failures; where there are none, that is one select.
 * `failed` counts, opens it at the fifth in a row, and after a try that failed keeps it open for twice as long. Opening and
 * closing are audit events of the system, in the transaction of the change. Several at once are as one after the other.
 */
export async function reportToCircuit(
  pool: PostgresPool,
  destination: CircuitDestination,
  outcome: 'answered' | 'failed',
  code?: FailureCode,
): Promise<void> {
  if (outcome === 'failed') {
    await inTransaction(pool, async (tx) => await countFailure(tx, destination, code));
    return;
  }
  const { rowCount } = await pool.query('select from destination_circuits where destination_id = $1 and failures > 0', [
    destination.id,
  ]);
  if (rowCount === 0) return;
  await inTransaction(pool, async (tx) => await closeCircuit(tx, destination, SYSTEM_ACTOR, 'answered'));
}

/**
 * Closes a circuit and forgets the failures, in the transaction of what makes them old: an answer, or new settings. An audit event
 * where it was open.
 */
export async function closeCircuit(
  tx: Transaction,
  destination: CircuitDestination,
  actor: Actor,
  because: 'answered' | 'settings_changed',
): Promise<void> {
  // The failures and the time are those of before: a lock, and only then the change.
  const { rows } = await tx.query<{ failures: number; opened_at: Date | null; open_ms: number | null }>(
    `with circuit as (
       select destination_id, failures, opened_at,
              (extract(epoch from clock_timestamp() - opened_at) * 1000)::float8 as open_ms
       from destination_circuits where destination_id = $1 for update
     ), closed as (
       update destination_circuits as c
       set failures = 0, opened_at = null, open_until = null, probe_until = null, updated_at = clock_timestamp()
       from circuit where c.destination_id = circuit.destination_id
     )
     select failures, opened_at, open_ms from circuit`,
    [destination.id],
  );
  const [row] = rows;
  if (row?.opened_at == null) return;
  await recordAuditEvent(tx, {
    workspaceId: destination.workspaceId,
    spaceId: destination.spaceId,
    type: 'Destination Circuit Closed',
    actor,
    resource: { type: 'destination', id: destination.id, name: destination.name },
    details: {
      because,
      failures: row.failures,
      openedAt: row.opened_at.toISOString(),
      openMs: Math.round(row.open_ms ?? 0),
    },
  });
}

async function countFailure(
  tx: Transaction,
  destination: CircuitDestination,
  code: FailureCode | undefined,
): Promise<void> {
  await tx.query('insert into destination_circuits (destination_id) values ($1) on conflict do nothing', [
    destination.id,
  ]);
  const { rows } = await tx.query<{ failures: number; opened_at: Date | null; is_open: boolean; is_probed: boolean }>(
    `select failures, opened_at, coalesce(open_until > clock_timestamp(), false) as is_open,
            probe_until is not null as is_probed
     from destination_circuits where destination_id = $1 for update`,
    [destination.id],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`no circuit of ${destination.id}`);
  // While it is open, or half open and nobody tries, this is the late end of a call from before: it is known that it fails.
  if (row.opened_at !== null && (row.is_open || !row.is_probed)) return;
  const failures = row.failures + 1;
  const openMs = openTimeMs(failures);
  const updated = await tx.query<{ open_until: Date | null; slug: string }>(
    `update destination_circuits
     set failures = $2,
         opened_at = case when $3::float8 > 0 then coalesce(opened_at, clock_timestamp()) end,
         open_until = case when $3::float8 > 0 then clock_timestamp() + $3 * interval '1 millisecond' end,
         probe_until = null, updated_at = clock_timestamp()
     where destination_id = $1
     returning open_until, (select slug from destinations where id = $1)`,
    [destination.id, failures, openMs],
  );
  if (openMs === 0 || row.opened_at !== null) return;
  onCommit(tx, () => countCircuitOpening(updated.rows[0]?.slug ?? ''));
  await recordAuditEvent(tx, {
    workspaceId: destination.workspaceId,
    spaceId: destination.spaceId,
    type: 'Destination Circuit Opened',
    actor: SYSTEM_ACTOR,
    resource: { type: 'destination', id: destination.id, name: destination.name },
    outcome: 'failure',
    details: {
      failures,
      openUntil: updated.rows[0]?.open_until?.toISOString() ?? null,
      ...(code === undefined ? {} : { code, message: FAILURES[code].sentence }),
    },
  });
}

/** How long a circuit is open after so many failures in a row, in milliseconds; 0 for not at all. */
export function openTimeMs(failures: number): number {
  if (failures < OPENS_AFTER) return 0;
  return Math.min(FIRST_OPEN_MS * 2 ** (failures - OPENS_AFTER), MAX_OPEN_MS);
}
