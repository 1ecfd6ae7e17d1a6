import { isDeepStrictEqual } from 'node:util';
import { recordAuditEvent, type Actor } from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import { newId, type Queryable } from '../store/index.ts';
import { checkName, checkSlug, slugTaken } from './names.ts';

export interface SpaceRow {
  id: string;
  workspace_id: string;
  slug: string;
  name: string;
  /** Runs that are under way at once, and of them those that are a backfill: what is over them waits for its turn. */
  max_runs: number;
  max_backfills: number;
  created_at: Date;
}

/** Creates a space with its counters of profiles and accounts. Throws 'slug_invalid', 'slug_taken' or 'name_invalid'. */
export async function createSpace(
  tx: Queryable,
  input: { workspaceId: string; slug: string; name: string; actor: Actor },
): Promise<SpaceRow> {
  const slug = checkSlug(input.slug);
  const name = checkName(input.name);
  const { rows } = await tx.query<SpaceRow>(
    `insert into spaces (id, workspace_id, slug, name) values ($1, $2, $3, $4)
     on conflict (workspace_id, slug) do nothing returning *`,
    [newId('space'), input.workspaceId, slug, name],
  );
  const [row] = rows;
  if (row === undefined) throw slugTaken(slug);
  await recordAuditEvent(tx, {
    workspaceId: row.workspace_id,
    spaceId: row.id,
    type: 'Space Created',
    actor: input.actor,
    resource: { type: 'space', id: row.id, name },
    after: { slug, name },
  });
  return row;
}

/** Changes a space's name or caps; a call that changes nothing records nothing. Throws 'space_not_found' or 'name_invalid'. */
export async function updateSpace(
  tx: Queryable,
  input: {
    workspaceId: string;
    spaceId: string;
    name?: string | undefined;
    maxRuns?: number | undefined;
    maxBackfills?: number | undefined;
    actor: Actor;
  },
): Promise<SpaceRow> {
  const given = input.name === undefined ? undefined : checkName(input.name);
  const before = await getSpace(tx, input.workspaceId, input.spaceId, { lock: true });
  const after: SpaceRow = {
    ...before,
    name: given ?? before.name,
    max_runs: input.maxRuns ?? before.max_runs,
    max_backfills: input.maxBackfills ?? before.max_backfills,
  };
  const shown = ({ name, max_runs: maxRuns, max_backfills: maxBackfills }: SpaceRow) => ({
    name,
    maxRuns,
    maxBackfills,
  });
  if (isDeepStrictEqual(shown(before), shown(after))) return before;
  await tx.query('update spaces set name = $3, max_runs = $4, max_backfills = $5 where workspace_id = $1 and id = $2', [
    input.workspaceId,
    input.spaceId,
    after.name,
    after.max_runs,
    after.max_backfills,
  ]);
  await recordAuditEvent(tx, {
    workspaceId: before.workspace_id,
    spaceId: before.id,
    type: 'Space Modified',
    actor: input.actor,
    resource: { type: 'space', id: before.id, name: after.name },
    before: shown(before),
    after: shown(after),
  });
  return after;
}

/** A space of the workspace. Throws 'space_not_found', also for a space of another workspace. */
export async function getSpace(
  db: Queryable,
  workspaceId: string,
  spaceId: string,
  options: { lock?: boolean } = {},
): Promise<SpaceRow> {
  const { rows } = await db.query<SpaceRow>(
    `select * from spaces where workspace_id = $1 and id = $2${options.lock === true ? ' for update' : ''}`,
    [workspaceId, spaceId],
  );
  const [row] = rows;
  if (row === undefined) {
    throw new RequestError('not_found', 'space_not_found', 'There is no such space in this workspace.', {
      field: 'spaceId',
    });
  }
  return row;
}

/** The spaces of a workspace, oldest first. */
export async function listSpaces(db: Queryable, workspaceId: string): Promise<SpaceRow[]> {
  const { rows } = await db.query<SpaceRow>('select * from spaces where workspace_id = $1 order by created_at, id', [
    workspaceId,
  ]);
  return rows;
}
