import { newId, type Queryable } from '../store/index.ts';
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
  const { rows } = await tx.query<AuditEventRow>(
    `insert into audit_events
       (id, workspace_id, space_id, type, actor_kind, actor_id, actor_name, actor_email,
        resource_type, resource_id, resource_name, outcome, task_id, attempt, details, before, after)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
     returning *`,
    [
      newId('auditEvent'),
      input.workspaceId,
      input.spaceId ?? null,
      input.type,
      input.actor.kind,
      input.actor.id,
      input.actor.name,
      input.actor.email ?? null,
      input.resource.type,
      input.resource.id,
      input.resource.name,
      input.outcome ?? 'success',
      input.taskId ?? null,
      input.attempt ?? null,
      JSON.stringify(input.details ?? {}),
      toJson(input.before),
      toJson(input.after),
    ],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('insert … returning gave no row');
  return row;
}

// Without this an array would be sent as a PostgreSQL array, and a string as broken JSON.
function toJson(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}
