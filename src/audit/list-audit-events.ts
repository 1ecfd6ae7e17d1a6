import { RequestError } from '../errors.ts';
import type { Queryable } from '../store/index.ts';
import { resolveEventType } from './catalogue/index.ts';
import {
  readPage,
  type PageEdge,
  type PageRequest,
  type PaginationInput,
  type PaginationOutput,
} from './pagination.ts';
import type { AuditEventRow } from './record-audit-event.ts';
import { toAuditEventResponse, type AuditEventResponse } from './wire.ts';

/** A bounded reading of the trail: a time range and filters, newest first. */
export interface AuditEventQuery extends PaginationInput {
  workspaceId: string;
  /** Events at or after it. */
  startTime?: Date | undefined;
  /** Events before it, so that ranges which touch neither overlap nor miss. */
  endTime?: Date | undefined;
  resourceId?: string | undefined;
  resourceType?: string | undefined;
  /** A name or an alias of the catalogue, in any case. */
  type?: string | undefined;
  /** An actor's id (also as `users/…` or `token/…`, as forwarded events write it) or email. */
  actor?: string | undefined;
}

/**
 * The events of a workspace that match, newest first. Throws a RequestError that names the parameter which is not valid:
 * `type`, `endTime`, `pagination[count]` or `pagination[cursor]`.
 */
export async function listAuditEvents(
  db: Queryable,
  query: AuditEventQuery,
): Promise<{ events: AuditEventResponse[]; pagination: PaginationOutput }> {
  const filter = compileFilter(query);
  const { rows, pagination } = await readPage(query, (request) => selectEvents(db, filter, request));
  return { events: rows.map(toAuditEventResponse), pagination };
}

interface Filter {
  conditions: string[];
  values: unknown[];
}

function compileFilter(query: AuditEventQuery): Filter {
  const { startTime, endTime } = query;
  if (startTime !== undefined && endTime !== undefined && startTime > endTime) {
    throw new RequestError('invalid', 'time_range_invalid', 'endTime is before startTime: it has to be after it.', {
      field: 'endTime',
    });
  }
  const values: unknown[] = [query.workspaceId];
  const conditions = ['workspace_id = $1'];
  const where = (column: string, operator: '=' | '>=' | '<', value: unknown) => {
    values.push(value);
    conditions.push(`${column} ${operator} $${values.length}`);
  };
  if (startTime !== undefined) where('occurred_at', '>=', startTime);
  if (endTime !== undefined) where('occurred_at', '<', endTime);
  if (query.resourceId !== undefined) where('resource_id', '=', query.resourceId);
  if (query.resourceType !== undefined) where('resource_type', '=', query.resourceType);
  if (query.type !== undefined) where('type', '=', canonicalType(query.type));
  if (query.actor !== undefined) {
    if (query.actor.includes('@')) where('actor_email', '=', query.actor.trim().toLowerCase());
    else where('actor_id', '=', query.actor.trim().replace(/^(users|token)\//, ''));
  }
  return { conditions, values };
}

function canonicalType(given: string): string {
  const type = resolveEventType(given);
  if (type !== undefined) return type;
  throw new RequestError(
    'invalid',
    'event_type_unknown',
    `type is a name of the event catalogue, such as "Audience Run Failed"; "${given}" is none. GET /event-types lists them all.`,
    { field: 'type' },
  );
}

async function selectEvents(
  db: Queryable,
  filter: Filter,
  request: PageRequest,
): Promise<(AuditEventRow & PageEdge)[]> {
  const values = [...filter.values];
  const conditions = [...filter.conditions];
  const [operator, direction] = request.side === 'older' ? ['<', 'desc'] : ['>', 'asc'];
  if (request.edge !== null) {
    values.push(request.edge.micros, request.edge.id);
    conditions.push(
      `(occurred_at, id) ${operator} (timestamptz 'epoch' + $${values.length - 1}::bigint * interval '1 microsecond', $${values.length})`,
    );
  }
  values.push(request.limit);
  const { rows } = await db.query<AuditEventRow & PageEdge>(
    `select *, (extract(epoch from occurred_at) * 1000000)::bigint as micros
     from audit_events where ${conditions.join(' and ')}
     order by occurred_at ${direction}, id ${direction} limit $${values.length}`,
    values,
  );
  return rows;
}
