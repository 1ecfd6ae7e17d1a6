import { openDestination, type MessageComputation, type OpenDestination } from '../destinations/index.ts';
import { TaskFailure } from '../errors.ts';
import type { TaskDeps } from './engine.ts';
import type { TaskRow } from './load-task.ts';

/** All that a sync needs to know of its connection, its destination opened. */
export interface OpenSync {
  connectionId: string;
  destination: OpenDestination;
  /** Whom failures and answers are reported of. */
  circuit: { id: string; workspaceId: string; spaceId: string; name: string };
  computation: MessageComputation;
  audienceSettings: Record<string, unknown>;
  externalAudienceId: string | null;
  liveVersion: number | null;
  liveAsOf: Date | null;
}

/** Reads what a sync works on. Throws TaskFailure destination_missing where the connection is gone. */
export async function openSync(deps: TaskDeps, task: TaskRow): Promise<OpenSync> {
  const { rows } = await deps.pool.query<{
    connection_id: string;
    destination_id: string;
    audience_settings: Record<string, unknown>;
    external_audience_id: string | null;
    definition_type: 'USERS' | 'ACCOUNTS';
    live_version: number | null;
    live_as_of: Date | null;
    space_slug: string;
  }>(
    `select n.id as connection_id, n.destination_id, n.audience_settings, n.external_audience_id,
            c.definition_type, c.live_version, c.live_as_of, s.slug as space_slug
     from connections n
     join computations c on c.id = n.computation_id
     join spaces s on s.id = c.space_id
     where n.id = $1 and n.enabled and n.suspended_at is null and c.deleted_at is null`,
    [task.connection_id],
  );
  const row = rows[0];
  if (row === undefined) throw new TaskFailure('destination_missing', `no connection ${task.connection_id}`);
  const destination = await openDestination(deps.pool, deps.destinations, task.workspace_id, row.destination_id);
  return {
    connectionId: row.connection_id,
    destination,
    circuit: { id: destination.id, workspaceId: task.workspace_id, spaceId: task.space_id, name: destination.name },
    computation: {
      id: task.computation_id,
      key: task.computation_key,
      name: task.computation_name,
      kind: task.computation_kind,
      definitionType: row.definition_type,
      spaceId: task.space_id,
      spaceSlug: row.space_slug,
    },
    audienceSettings: row.audience_settings,
    externalAudienceId: row.external_audience_id,
    liveVersion: row.live_version,
    liveAsOf: row.live_as_of,
  };
}
