import {
  openDestination,
  openSyncSettings,
  PermitWithdrawn,
  type MessageComputation,
  type OpenDestination,
  type SealedAudienceSettings,
} from '../../../destinations/index.ts';
import { TaskFailure } from '../../../errors.ts';
import { Permit, type Queryable } from '../../../store/index.ts';
import type { TaskDeps } from '../contract.ts';
import type { TaskRow } from '../../model/task.ts';
import type { BegunTask } from '../../attempts/checkpoints.ts';

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
  /** How many members or values it has. */
  liveSize: number | null;
  liveAsOf: Date | null;
  /** Counts what people changed of the destination. */
  destinationRevision: number;
  /** What the sync sends under, in one word that is another one after each change that a person makes to it. */
  under: string;
  /** To be asked before each request. */
  permit: Permit;
}

/** The word for what a sync sends under: of its connection `n`, destination `d` and computation `c`. */
export const SENDS_UNDER = `concat_ws(' ', d.revision, n.revision, md5(c.name))`;
/** Whether anything of it may be sent at all. */
export const SWITCHED_ON = `(n.enabled and n.suspended_at is null and d.enabled and d.deleted_at is null
  and c.enabled and c.deleted_at is null and c.paused_at is null)`;

/**
 * Reads what a sync works on. What it sends under is read first: a change that comes in between is found at the first request.
 * Throws TaskFailure destination_missing where the connection is gone.
 */
export async function openSync(deps: TaskDeps, task: TaskRow): Promise<OpenSync> {
  const lookedAt = performance.now();
  const { rows } = await deps.pool.query<
    SealedAudienceSettings & {
      destination_id: string;
      external_audience_id: string | null;
      definition_type: 'USERS' | 'ACCOUNTS';
      live_version: number | null;
      live_size: number | null;
      live_as_of: Date | null;
      space_slug: string;
      computation_name: string;
      destination_revision: number;
      under: string;
    }
  >(
    `select n.id, n.destination_id, n.audience_settings_box, n.external_audience_id,
            c.definition_type, c.live_version, c.live_size, c.live_as_of, s.slug as space_slug,
            c.name as computation_name, d.revision as destination_revision, ${SENDS_UNDER} as under
     from connections n
     join computations c on c.id = n.computation_id
     join spaces s on s.id = c.space_id
     join destinations d on d.id = n.destination_id
     where n.id = $1 and n.enabled and n.suspended_at is null and c.deleted_at is null`,
    [task.connection_id],
  );
  const row = rows[0];
  if (row === undefined) throw new TaskFailure('destination_missing', `no connection ${task.connection_id}`);
  const opened = await openDestination(deps.pool, deps.destinations, task.workspace_id, row.destination_id);
  const { audienceSettings, alsoSecret } = openSyncSettings(deps.destinations, opened, row);
  const destination = { ...opened, alsoSecret };
  return {
    connectionId: row.id,
    destination,
    circuit: { id: destination.id, workspaceId: task.workspace_id, spaceId: task.space_id, name: destination.name },
    computation: {
      id: task.computation_id,
      key: task.computation_key,
      name: row.computation_name,
      kind: task.computation_kind,
      definitionType: row.definition_type,
      spaceId: task.space_id,
      spaceSlug: row.space_slug,
    },
    audienceSettings,
    externalAudienceId: row.external_audience_id,
    liveVersion: row.live_version,
    liveSize: row.live_size,
    liveAsOf: row.live_as_of,
    destinationRevision: row.destination_revision,
    under: row.under,
    permit: new Permit(async () => await lookAgain(deps.pool, task, row.under), lookedAt),
  };
}

/** Throws PermitWithdrawn where the attempt is over, or what it sends under was changed or switched off. */
async function lookAgain(db: Queryable, task: BegunTask, under: string): Promise<void> {
  const { rowCount } = await db.query({
    name: 'look-at-permit',
    text: `select from tasks t
           join connections n on n.id = t.connection_id
           join computations c on c.id = n.computation_id
           join destinations d on d.id = n.destination_id
           where t.id = $1 and t.status = 'running' and t.attempt = $2 and t.losses = $4
             and ${SWITCHED_ON} and ${SENDS_UNDER} = $3`,
    values: [task.id, task.attempt, under, task.losses],
  });
  if (rowCount === 0) throw new PermitWithdrawn();
}
