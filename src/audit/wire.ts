import type { AuditEventType } from './catalogue/index.ts';
import type { AuditEventRow } from './record-audit-event.ts';

/** Segment's AuditEventV1 (id to resourceName), and after it what Trailmark adds. */
export interface AuditEventResponse {
  id: string;
  /** ISO 8601, UTC. */
  timestamp: string;
  type: AuditEventType;
  /** The actor's id. */
  actor: string;
  actorEmail?: string;
  resourceId: string;
  resourceType: string;
  resourceName: string;
  actorKind: AuditEventRow['actor_kind'];
  actorName: string;
  spaceId: string | null;
  outcome: AuditEventRow['outcome'];
  details: Record<string, unknown>;
  before: unknown;
  after: unknown;
  taskId: string | null;
  attempt: number | null;
}

/** A row of the trail as the API answers it. */
export function toAuditEventResponse(row: AuditEventRow): AuditEventResponse {
  return {
    id: row.id,
    timestamp: row.occurred_at.toISOString(),
    type: row.type,
    actor: row.actor_id,
    ...(row.actor_email === null ? {} : { actorEmail: row.actor_email }),
    resourceId: row.resource_id,
    resourceType: row.resource_type,
    resourceName: row.resource_name,
    actorKind: row.actor_kind,
    actorName: row.actor_name,
    spaceId: row.space_id,
    outcome: row.outcome,
    details: row.details,
    before: row.before,
    after: row.after,
    taskId: row.task_id,
    attempt: row.attempt,
  };
}
