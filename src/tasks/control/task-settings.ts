import { writeAutoDisableAfter } from '../../access/index.ts';
import { recordAuditEvent, type Actor } from '../../audit/index.ts';
import { RequestError } from '../../errors.ts';
import type { Queryable, Transaction } from '../../store/index.ts';

/** Settings of a workspace's tasks. */
export interface TaskSettings {
  /** After so many hard failures in a row a computation is disabled, or a connection suspended; null is off. */
  autoDisableAfter: number | null;
  updatedAt: Date;
}

interface SettingsRow {
  auto_disable_after: number | null;
  updated_at: Date;
  workspace_name: string;
}

/** Throws RequestError `workspace_not_found`. */
export async function readTaskSettings(db: Queryable, workspaceId: string): Promise<TaskSettings> {
  return toSettings(await selectRow(db, workspaceId));
}

/** Changes the threshold; a call that changes nothing records nothing. Throws RequestError `workspace_not_found`. */
export async function updateTaskSettings(
  tx: Transaction,
  input: { workspaceId: string; autoDisableAfter: number | null; actor: Actor },
): Promise<TaskSettings> {
  const before = await selectRow(tx, input.workspaceId, 'for update of s');
  if (before.auto_disable_after === input.autoDisableAfter) return toSettings(before);
  await writeAutoDisableAfter(tx, input.workspaceId, input.autoDisableAfter);
  await recordAuditEvent(tx, {
    workspaceId: input.workspaceId,
    type: 'Workspace Modified',
    actor: input.actor,
    resource: { type: 'workspace_settings', id: input.workspaceId, name: before.workspace_name },
    before: { autoDisableAfter: before.auto_disable_after },
    after: { autoDisableAfter: input.autoDisableAfter },
  });
  return await readTaskSettings(tx, input.workspaceId);
}

async function selectRow(db: Queryable, workspaceId: string, lock: '' | 'for update of s' = ''): Promise<SettingsRow> {
  const { rows } = await db.query<SettingsRow>(
    `select s.auto_disable_after, s.updated_at, w.name as workspace_name
     from workspace_settings s join workspaces w on w.id = s.workspace_id where s.workspace_id = $1 ${lock}`,
    [workspaceId],
  );
  const row = rows[0];
  if (row === undefined) throw new RequestError('not_found', 'workspace_not_found', 'There is no such workspace.');
  return row;
}

function toSettings(row: SettingsRow): TaskSettings {
  return { autoDisableAfter: row.auto_disable_after, updatedAt: row.updated_at };
}
