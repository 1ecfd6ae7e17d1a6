import { recordAuditEvent, type Actor, type AuditEventType } from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import { newId, type Transaction } from '../store/index.ts';
import { checkDefinition, lockSpace, referrersOf, refuseCycle, type Definition } from './computations-definition.ts';
import {
  computationNotFound,
  KIND_NAMES,
  type ComputationAddress,
  type ComputationKind,
  type ComputationRow,
} from './computations.ts';

/** A key: lower snake case, at most 100 characters. It names the trait at destinations and in other definitions. */
export const KEY_PATTERN = /^[a-z][a-z0-9_]{0,99}$/;

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
  schedule: { intervalSeconds: number };
}

export interface UpdateComputationInput {
  name?: string | undefined;
  description?: string | undefined;
  enabled?: boolean | undefined;
  definition?: Definition | undefined;
  schedule?: { intervalSeconds: number } | undefined;
}

/**
 * Creates a computation that is due at once. Throws RequestError `definition_invalid`, `definition_cycle`, `key_invalid`,
 * `key_taken` (409) or `space_not_found`.
 */
export async function createComputation(
  tx: Transaction,
  input: CreateComputationInput,
  actor: Actor,
): Promise<ComputationRow> {
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
  await lockSpace(tx, input.workspaceId, input.spaceId);
  await refuseCycle(tx, input.spaceId, key, checkDefinition(input.definition, input.kind));
  const { rows } = await tx.query<ComputationRow>(
    `insert into computations
       (id, workspace_id, space_id, kind, key, name, description, definition_type, definition_query, enabled,
        schedule_interval_seconds, created_by, updated_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
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
      input.schedule.intervalSeconds,
      actor.id,
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
 * Changes what is given. A new definition and enabling make it due at once; a key can't be changed.
 * Throws RequestError `not_found`, `definition_invalid` or `definition_cycle`.
 */
export async function updateComputation(
  tx: Transaction,
  address: ComputationAddress,
  patch: UpdateComputationInput,
  actor: Actor,
): Promise<ComputationRow> {
  await lockSpace(tx, address.workspaceId, address.spaceId);
  const before = await lockComputation(tx, address);
  const definition = patch.definition ?? { type: before.definition_type, query: before.definition_query };
  const redefined = definition.type !== before.definition_type || definition.query !== before.definition_query;
  const enabled = patch.enabled ?? before.enabled;
  const intervalSeconds = patch.schedule?.intervalSeconds ?? before.schedule_interval_seconds;
  if (redefined) await refuseCycle(tx, address.spaceId, before.key, checkDefinition(definition, before.kind));

  const changed: Pick<ComputationRow, 'name' | 'description'> = {
    name: patch.name ?? before.name,
    description: patch.description ?? before.description,
  };
  const modified =
    redefined ||
    changed.name !== before.name ||
    changed.description !== before.description ||
    intervalSeconds !== before.schedule_interval_seconds;
  const switched = enabled !== before.enabled;
  if (!modified && !switched) return before;

  const { rows } = await tx.query<ComputationRow>(
    `update computations set
       name = $2, description = $3, definition_type = $4, definition_query = $5,
       definition_version = definition_version + $6::int, enabled = $7, schedule_interval_seconds = $8::integer,
       next_run_at = case
         when $9::boolean then now()
         else least(next_run_at, now() + make_interval(secs => $8::integer))
       end,
       updated_by = $10, updated_at = now()
     where id = $1 returning *`,
    [
      before.id,
      changed.name,
      changed.description,
      definition.type,
      definition.query,
      redefined ? 1 : 0,
      enabled,
      intervalSeconds,
      redefined || (switched && enabled),
      actor.id,
    ],
  );
  const [after] = rows;
  if (after === undefined) throw computationNotFound(address);
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
    schedule: { intervalSeconds: row.schedule_interval_seconds },
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
