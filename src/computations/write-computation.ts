import { clearSuspensionsOf } from '../connections/index.ts';
import { recordAuditEvent, type Actor, type AuditEventType } from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import { newId, type Transaction } from '../store/index.ts';
import {
  checkDefinition,
  lockSpace,
  referrersOf,
  refuseCycle,
  refuseShadowing,
  resolveTraits,
  type Definition,
} from './definition.ts';
import {
  computationNotFound,
  KIND_NAMES,
  type ComputationAddress,
  type ComputationKind,
  type ComputationRow,
} from './computations.ts';
import {
  checkSchedule,
  jittered,
  nextSlot,
  scheduleOf,
  toScheduleColumns,
  type Schedule,
  type ScheduleInput,
} from './schedule.ts';

/** A key: lower snake case, at most 100 characters. It names the trait at destinations and in other definitions. */
export const KEY_PATTERN = /^[a-z][a-z0-9_]{0,99}$/;

/**
 * When a run asks before it commits: when it would remove more than a share (over 0, to 1; null is off) of more
 * than so many members. What is not given stays as it is.
 */
interface GuardInput {
  share?: number | null | undefined;
  minMembers?: number | undefined;
}

export interface CreateComputationInput {
  workspaceId: string;
  spaceId: string;
  kind: ComputationKind;
  name: string;
  /** Made from the name where it is not given. */
  key?: string | undefined;
  description?: string | undefined;
  enabled?: boolean | undefined;
  definition: Definition;
  schedule: ScheduleInput;
  /** null is off. Half of more than a hundred members, or values, where it is not given. */
  guard?: GuardInput | null | undefined;
  /** Whether the key is recorded as a trait of the space's profiles: see isRecordedTrait. */
  keyIsRecorded?: boolean | undefined;
}

export interface UpdateComputationInput {
  name?: string | undefined;
  description?: string | undefined;
  enabled?: boolean | undefined;
  definition?: Definition | undefined;
  schedule?: ScheduleInput | undefined;
  /** null is off. */
  guard?: GuardInput | null | undefined;
}

/**
 * Creates a computation that is due at once, and from then on by its schedule: an interval counts from now. Throws RequestError
 * `definition_invalid`, `definition_cycle`, `schedule_invalid`, `guard_invalid`, `key_invalid`, `key_taken` (409),
 * `key_is_trait` (409) or `space_not_found`.
 */
export async function createComputation(
  tx: Transaction,
  input: CreateComputationInput,
  actor: Actor,
): Promise<ComputationRow> {
  const key = computationKey(input);
  const guard = applyGuard(DEFAULT_GUARD, input.guard);
  const now = await lockSpace(tx, input.workspaceId, input.spaceId);
  const schedule = checkSchedule(input.schedule, now);
  const columns = toScheduleColumns(schedule);
  const refersTo = checkDefinition(input.definition, input.kind);
  await refuseCycle(tx, input.spaceId, key, refersTo);
  await refuseShadowing(tx, input.spaceId, key, input.keyIsRecorded ?? false);
  const computed = await resolveTraits(tx, input.spaceId, refersTo, null);
  const { rows } = await tx.query<ComputationRow>(
    `insert into computations
       (id, workspace_id, space_id, kind, key, name, description, definition_type, definition_query, enabled, refers_to,
        schedule_interval_seconds, schedule_cron, schedule_time_zone, schedule_jitter_seconds, next_run_at, next_slot_at,
        guard_share, guard_min_members, created_by, updated_by, computed_traits)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $20, $21)
     on conflict (space_id, key) where deleted_at is null do nothing
     returning *`,
    [
      newId(input.kind === 'audience' ? 'audience' : 'computedTrait'),
      input.workspaceId,
      input.spaceId,
      input.kind,
      key,
      input.name,
      input.description ?? '',
      input.definition.type,
      input.definition.query,
      input.enabled ?? true,
      refersTo,
      columns.schedule_interval_seconds,
      columns.schedule_cron,
      columns.schedule_time_zone,
      columns.schedule_jitter_seconds,
      now,
      nextSlot(schedule, now),
      guard.share,
      guard.minMembers,
      actor.id,
      computed,
    ],
  );
  const [row] = rows;
  if (row === undefined) {
    throw new RequestError(
      'conflict',
      'key_taken',
      `The key ${key} is taken in this space: audiences and computed traits share their keys. Choose another.`,
      { field: 'key' },
    );
  }
  await record(tx, row, actor, 'Created', null, snapshot(row));
  return row;
}

/**
 * Changes what is given. A new definition and enabling make it due at once, beside its schedule; enabling starts clean, without
 * the hard failures that disabled it or suspended its connections. A key can't be changed. Throws RequestError `not_found`,
 * `definition_invalid`, `definition_cycle`, `schedule_invalid` or `guard_invalid`.
 */
export async function updateComputation(
  tx: Transaction,
  address: ComputationAddress,
  patch: UpdateComputationInput,
  actor: Actor,
): Promise<ComputationRow> {
  const now = await lockSpace(tx, address.workspaceId, address.spaceId);
  const before = await lockComputation(tx, address);
  const definition = patch.definition ?? { type: before.definition_type, query: before.definition_query };
  const redefined = definition.type !== before.definition_type || definition.query !== before.definition_query;
  const enabled = patch.enabled ?? before.enabled;
  const switched = enabled !== before.enabled;
  const schedule = patch.schedule === undefined ? scheduleOf(before) : checkSchedule(patch.schedule, now);
  const guard = applyGuard({ share: before.guard_share, minMembers: before.guard_min_members }, patch.guard);
  let { refers_to: refersTo, computed_traits: computed } = before;
  if (redefined) {
    refersTo = checkDefinition(definition, before.kind);
    computed = await resolveTraits(tx, address.spaceId, refersTo, before.id);
    const leadsTo = refersTo.includes(before.key) ? [before.key, ...computed] : computed;
    await refuseCycle(tx, address.spaceId, before.key, leadsTo);
  }
  const changed = {
    ...before,
    name: patch.name ?? before.name,
    description: patch.description ?? before.description,
    definition_type: definition.type,
    definition_query: definition.query,
    definition_version: before.definition_version + (redefined ? 1 : 0),
    guard_share: guard.share,
    guard_min_members: guard.minMembers,
    ...toScheduleColumns(schedule),
  };
  const modified = JSON.stringify(snapshot(changed)) !== JSON.stringify(snapshot(before));
  if (!modified && !switched) return before;

  const times = nextTimes(before, schedule, now, { atOnce: redefined || (switched && enabled) });
  const { rows } = await tx.query<ComputationRow>(
    `update computations set
       name = $2, description = $3, definition_type = $4, definition_query = $5, definition_version = $6, refers_to = $7,
       enabled = $8, schedule_interval_seconds = $9, schedule_cron = $10, schedule_time_zone = $11,
       schedule_jitter_seconds = $12, next_slot_at = $13, next_run_at = $14, guard_share = $15, guard_min_members = $16,
       hard_failures = case when $17::boolean then 0 else hard_failures end,
       disabled_reason = case when $17::boolean then null else disabled_reason end,
       updated_by = $18, updated_at = now(), computed_traits = $19
     where id = $1 returning *`,
    [
      before.id,
      changed.name,
      changed.description,
      changed.definition_type,
      changed.definition_query,
      changed.definition_version,
      refersTo,
      enabled,
      changed.schedule_interval_seconds,
      changed.schedule_cron,
      changed.schedule_time_zone,
      changed.schedule_jitter_seconds,
      times.slotAt,
      times.runAt,
      guard.share,
      guard.minMembers,
      switched && enabled,
      actor.id,
      computed,
    ],
  );
  const [after] = rows;
  if (after === undefined) throw computationNotFound(address);
  if (switched && enabled) await clearSuspensionsOf(tx, after.id);
  if (modified) await record(tx, after, actor, 'Modified', snapshot(before), snapshot(after));
  if (switched) await record(tx, after, actor, enabled ? 'Enabled' : 'Disabled', snapshot(before), snapshot(after));
  return after;
}

/**
 * Deletes a computation: its key is free again, its tasks end at their next step, its row stays for the trail's sake.
 * Throws RequestError `not_found`, or `computation_referred_to` (409) while other definitions use it.
 */
export async function deleteComputation(tx: Transaction, address: ComputationAddress, actor: Actor): Promise<void> {
  await lockSpace(tx, address.workspaceId, address.spaceId);
  const before = await lockComputation(tx, address);
  const referrers = await referrersOf(tx, address.spaceId, before.key);
  if (referrers.length > 0) {
    throw new RequestError(
      'conflict',
      'computation_referred_to',
      `Other definitions refer to ${before.key}: ${referrers.join(', ')}. Change or delete those first.`,
      { field: 'id', data: { referrers } },
    );
  }
  await tx.query('update computations set deleted_at = now(), updated_at = now(), updated_by = $2 where id = $1', [
    before.id,
    actor.id,
  ]);
  await record(tx, before, actor, 'Deleted', snapshot(before), null);
}

const DEFAULT_GUARD = { share: 0.5, minMembers: 100 };
/** What the column holds. */
export const MAX_GUARD_MEMBERS = 2_147_483_647;

/** The guard with what is given of it. Throws RequestError `guard_invalid`. */
function applyGuard(
  before: { share: number | null; minMembers: number },
  input: GuardInput | null | undefined,
): { share: number | null; minMembers: number } {
  if (input === undefined) return before;
  const share = input === null ? null : input.share === undefined ? before.share : input.share;
  const minMembers = input?.minMembers ?? before.minMembers;
  if (share !== null && !(share > 0 && share <= 1)) {
    throw new RequestError(
      'invalid',
      'guard_invalid',
      `A share of ${share} is not one of members: give more than 0 and at most 1, such as 0.5 for half of them, or null for no guard.`,
      { field: 'guard.share' },
    );
  }
  if (!Number.isInteger(minMembers) || minMembers < 0 || minMembers > MAX_GUARD_MEMBERS) {
    throw new RequestError(
      'invalid',
      'guard_invalid',
      `A whole number of members, 0 to guard every audience, at most ${MAX_GUARD_MEMBERS}.`,
      { field: 'guard.minMembers' },
    );
  }
  return { share, minMembers };
}

/**
 * The next slot and when it is due, after a change. A schedule that stays keeps its rhythm, with nothing left of slots that passed
 * while it was disabled; a new one begins now, and an interval no later than the slot there was. What is due stays due.
 */
function nextTimes(
  before: ComputationRow,
  schedule: Schedule,
  now: Date,
  { atOnce }: { atOnce: boolean },
): { slotAt: Date; runAt: Date } {
  const kept = JSON.stringify(schedule) === JSON.stringify(scheduleOf(before));
  let slotAt = before.next_slot_at;
  if (!kept) {
    slotAt = nextSlot(schedule, now);
    const sooner = 'intervalSeconds' in schedule && before.next_slot_at > now && before.next_slot_at < slotAt;
    if (sooner) slotAt = before.next_slot_at;
  } else if (!before.enabled && slotAt <= now) {
    slotAt = nextSlot(schedule, now, slotAt);
  }
  const due = before.enabled && before.next_run_at <= now;
  if (due) return { slotAt, runAt: before.next_run_at };
  if (atOnce) return { slotAt, runAt: now };
  return { slotAt, runAt: kept && slotAt === before.next_slot_at ? before.next_run_at : jittered(schedule, slotAt) };
}

/** The key that a new computation will have: the given one, or one that is made from its name. Throws RequestError `key_invalid`. */
export function computationKey(input: Pick<CreateComputationInput, 'key' | 'name'>): string {
  const key = input.key ?? keyFromName(input.name);
  if (!KEY_PATTERN.test(key)) {
    throw new RequestError(
      'invalid',
      'key_invalid',
      input.key === undefined
        ? `No key can be made from the name: give a key such as big_spenders.`
        : `The key ${JSON.stringify(key)} is not lower snake case: a letter, then letters, digits and _, at most 100 in all, such as big_spenders.`,
      { field: 'key' },
    );
  }
  return key;
}

/** Lower snake case of a name: "Big spenders (30 days)" is big_spenders_30_days. */
function keyFromName(name: string): string {
  return name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, 100);
}

async function lockComputation(tx: Transaction, address: ComputationAddress): Promise<ComputationRow> {
  const { rows } = await tx.query<ComputationRow>(
    `select * from computations
     where id = $1 and workspace_id = $2 and space_id = $3 and kind = $4 and deleted_at is null for no key update`,
    [address.id, address.workspaceId, address.spaceId, address.kind],
  );
  const [row] = rows;
  if (row === undefined) throw computationNotFound(address);
  return row;
}

function snapshot(row: ComputationRow): Record<string, unknown> {
  return {
    key: row.key,
    name: row.name,
    description: row.description,
    enabled: row.enabled,
    definition: { type: row.definition_type, query: row.definition_query, version: row.definition_version },
    schedule: scheduleOf(row),
    guard: { share: row.guard_share, minMembers: row.guard_min_members },
  };
}

async function record(
  tx: Transaction,
  row: ComputationRow,
  actor: Actor,
  what: 'Created' | 'Modified' | 'Enabled' | 'Disabled' | 'Deleted',
  before: unknown,
  after: unknown,
): Promise<void> {
  const type: AuditEventType = `${KIND_NAMES[row.kind]} ${what}`;
  await recordAuditEvent(tx, {
    workspaceId: row.workspace_id,
    spaceId: row.space_id,
    type,
    actor,
    resource: { type: row.kind, id: row.id, name: row.name },
    before,
    after,
  });
}
