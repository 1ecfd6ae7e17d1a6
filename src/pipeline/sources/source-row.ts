import { RequestError } from '../../errors.ts';
import type { Queryable } from '../../store/index.ts';

/** Where events come in. */
export interface SourceRow {
  id: string;
  workspace_id: string;
  slug: string;
  name: string;
  enabled: boolean;
  created_at: Date;
}

export const SOURCE_COLUMNS = 'id, workspace_id, slug, name, enabled, created_at';

/** The source as the trail shows it. */
export function shownSource(row: SourceRow): Record<string, unknown> {
  return { slug: row.slug, name: row.name, enabled: row.enabled };
}

/** A source of the workspace that is not deleted. Throws 'source_not_found', also for a source of another workspace. */
export async function getSource(
  db: Queryable,
  workspaceId: string,
  sourceId: string,
  options: { lock?: boolean } = {},
): Promise<SourceRow> {
  const { rows } = await db.query<SourceRow>(
    `select ${SOURCE_COLUMNS} from sources
     where workspace_id = $1 and id = $2 and deleted_at is null${options.lock === true ? ' for update' : ''}`,
    [workspaceId, sourceId],
  );
  const [row] = rows;
  if (row === undefined) {
    throw new RequestError('not_found', 'source_not_found', 'There is no such source in this workspace.', {
      field: 'sourceId',
    });
  }
  return row;
}
