import { jsonText, newId, type Queryable } from '../store/index.ts';
import type { Actor } from './actor.ts';
import type { AuditEventType } from './catalogue/index.ts';

type AuditResourceType =
  | 'workspace'
  | 'space'
  | 'source'
  | 'write_key'
  | 'destination'
  | 'subscription'
  | 'connection'
  | 'audience'
  | 'computed_trait'
  | 'access_token'
  | 'user'
  | 'channel'
  | 'workspace_settings';

export interface AuditEventRow {
  id: string;
  workspace_id: string;
  space_id: string | null;
  type: AuditEventType;
  actor_kind: Actor['kind'];
  actor_id: string;
  actor_name: string;
  actor_email: string | null;
  resource_type: AuditResourceType;
  resource_id: string;
  resource_name: string;
  outcome: 'success' | 'failure';
  task_id: string | null;
  attempt: number | null;
  details: Record<string, unknown>;
  before: unknown;
  after: unknown;
  occurred_at: Date;
}

export interface AuditEventInput {
  workspaceId: string;
  spaceId?: string | null;
  type: AuditEventType;
  actor: Actor;
  resource: { type: AuditResourceType; id: string; name: string };
  outcome?: 'success' | 'failure';
  taskId?: string;
  /** Which attempt at the task it tells of, 1 for the first. */
  attempt?: number;
  details?: Record<string, unknown>;
  /** The resource before and after the change, secrets masked; kept as given. */
  before?: unknown;
  after?: unknown;
}

/**
 * Appends one event to the trail. Call it with the transaction of the change that it tells of: both are there, or neither.
 */
export async function recordAuditEvent(tx: Queryable, input: AuditEventInput): Promise<AuditEventRow> {
  const [row] = await recordAuditEvents(tx, [input]);
  if (row === undefined) throw new Error('insert … returning gave no row');
  return row;
}

/** Appends several events, in this order, by one statement. */
export async function recordAuditEvents(tx: Queryable, inputs: readonly AuditEventInput[]): Promise<AuditEventRow[]> {
  if (inputs.length === 0) return [];
  const { rows } = await tx.query<AuditEventRow>(
    `insert into audit_events
       (id, workspace_id, space_id, type, actor_kind, actor_id, actor_name, actor_email,
        resource_type, resource_id, resource_name, outcome, task_id, attempt, details, before, after)
     select * from unnest(
       $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
       $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::integer[], $15::jsonb[], $16::jsonb[], $17::jsonb[])
     returning *`,
    [
      inputs.map(() => newId('auditEvent')),
      inputs.map(({ workspaceId }) => workspaceId),
      inputs.map(({ spaceId }) => spaceId ?? null),
      inputs.map(({ type }) => type),
      inputs.map(({ actor }) => actor.kind),
      inputs.map(({ actor }) => actor.id),
      inputs.map(({ actor }) => actor.name),
      inputs.map(({ actor }) => actor.email ?? null),
      inputs.map(({ resource }) => resource.type),
      inputs.map(({ resource }) => resource.id),
      inputs.map(({ resource }) => resource.name),
      inputs.map(({ outcome }) => outcome ?? 'success'),
      inputs.map(({ taskId }) => taskId ?? null),
      inputs.map(({ attempt }) => attempt ?? null),
      inputs.map(({ details }) => jsonText(details ?? {})),
      inputs.map(({ before }) => toJson(before)),
      inputs.map(({ after }) => toJson(after)),
    ],
  );
  return rows;
}

// Without this an array would be sent as a PostgreSQL array, and a string as broken JSON.
function toJson(value: unknown): string | null {
  return value === undefined || value === null ? null : jsonText(value);
}
