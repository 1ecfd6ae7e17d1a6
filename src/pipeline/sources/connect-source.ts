import { getSpace, type SpaceRow } from '../../access/index.ts';
import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import type { Queryable } from '../../store/index.ts';
import { getSource, SOURCE_COLUMNS, type SourceRow } from './source-row.ts';

interface ConnectInput {
  workspaceId: string;
  sourceId: string;
  spaceId: string;
  actor: Actor;
}

/**
 * From now on a source's events go into a space's profiles; those that are in ClickHouse already don't. Once more changes
 * nothing. Throws 'source_not_found' or 'space_not_found'.
 */
export async function connectSource(tx: Queryable, input: ConnectInput): Promise<void> {
  const { source, space } = await readBoth(tx, input);
  const inserted = await tx.query(
    'insert into space_sources (space_id, source_id) values ($1, $2) on conflict do nothing',
    [space.id, source.id],
  );
  if (inserted.rowCount === 0) return;
  await recordConnection(tx, 'Source Connected To Space', source, space, input.actor);
}

/** A source's events go into a space no more; what is there stays. Once more changes nothing. Throws as connectSource does. */
export async function disconnectSource(tx: Queryable, input: ConnectInput): Promise<void> {
  const { source, space } = await readBoth(tx, input);
  const deleted = await tx.query('delete from space_sources where space_id = $1 and source_id = $2', [
    space.id,
    source.id,
  ]);
  if (deleted.rowCount === 0) return;
  await recordConnection(tx, 'Source Disconnected From Space', source, space, input.actor);
}

/** The sources whose events go into a space, oldest first. Throws 'space_not_found'. */
export async function listSpaceSources(db: Queryable, workspaceId: string, spaceId: string): Promise<SourceRow[]> {
  await getSpace(db, workspaceId, spaceId);
  const { rows } = await db.query<SourceRow>(
    `select ${SOURCE_COLUMNS} from sources join space_sources c on c.source_id = sources.id
     where sources.workspace_id = $1 and c.space_id = $2 and sources.deleted_at is null
     order by sources.created_at, sources.id`,
    [workspaceId, spaceId],
  );
  return rows;
}

/** The ids of the spaces that a source's events go into. Throws 'source_not_found'. */
export async function listSourceSpaces(db: Queryable, workspaceId: string, sourceId: string): Promise<string[]> {
  const source = await getSource(db, workspaceId, sourceId);
  const { rows } = await db.query<{ space_id: string }>(
    'select space_id from space_sources where source_id = $1 order by space_id',
    [source.id],
  );
  return rows.map((row) => row.space_id);
}

async function readBoth(tx: Queryable, input: ConnectInput): Promise<{ source: SourceRow; space: SpaceRow }> {
  return {
    source: await getSource(tx, input.workspaceId, input.sourceId, { lock: true }),
    space: await getSpace(tx, input.workspaceId, input.spaceId),
  };
}

async function recordConnection(
  tx: Queryable,
  type: 'Source Connected To Space' | 'Source Disconnected From Space',
  source: SourceRow,
  space: SpaceRow,
  actor: Actor,
): Promise<void> {
  const connected = type === 'Source Connected To Space';
  await recordAuditEvent(tx, {
    workspaceId: source.workspace_id,
    spaceId: space.id,
    type,
    actor,
    resource: { type: 'source', id: source.id, name: source.name },
    details: { spaceId: space.id, spaceName: space.name },
    before: { connected: !connected },
    after: { connected },
  });
}
