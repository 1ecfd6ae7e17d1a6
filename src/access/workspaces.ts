import { recordAuditEvent, type Actor } from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import { newId, type Queryable } from '../store/index.ts';
import { checkName, checkSlug, slugTaken } from './names.ts';
import type { Plan } from './principal.ts';

export interface WorkspaceRow {
  id: string;
  slug: string;
  name: string;
  plan: Plan;
  created_at: Date;
}

/** Creates a workspace with its settings. Throws 'slug_invalid', 'slug_taken' or 'name_invalid'. */
export async function createWorkspace(
  tx: Queryable,
  input: { slug: string; name: string; plan: Plan; actor: Actor },
): Promise<WorkspaceRow> {
  const slug = checkSlug(input.slug);
  const name = checkName(input.name);
  const { rows } = await tx.query<WorkspaceRow>(
    'insert into workspaces (id, slug, name, plan) values ($1, $2, $3, $4) on conflict (slug) do nothing returning *',
    [newId('workspace'), slug, name, input.plan],
  );
  const [row] = rows;
  if (row === undefined) throw slugTaken(slug);
  await tx.query('insert into workspace_settings (workspace_id) values ($1)', [row.id]);
  await recordAuditEvent(tx, {
    workspaceId: row.id,
    type: 'Workspace Created',
    actor: input.actor,
    resource: { type: 'workspace', id: row.id, name },
    after: shownWorkspace(row),
  });
  return row;
}

/** A workspace by id or slug; undefined where there is none. */
export async function findWorkspace(db: Queryable, idOrSlug: string): Promise<WorkspaceRow | undefined> {
  // An id has an underscore, which no slug has.
  const { rows } = await db.query<WorkspaceRow>('select * from workspaces where id = $1 or slug = $1', [idOrSlug]);
  return rows[0];
}

/** Changes a workspace's name or plan, audited as two different things. Throws 'workspace_not_found' or 'name_invalid'. */
export async function updateWorkspace(
  tx: Queryable,
  input: { workspaceId: string; name?: string; plan?: Plan; actor: Actor },
): Promise<WorkspaceRow> {
  const found = await tx.query<WorkspaceRow>('select * from workspaces where id = $1 for update', [input.workspaceId]);
  const before = found.rows[0];
  if (before === undefined) {
    throw new RequestError('not_found', 'workspace_not_found', 'There is no such workspace.');
  }
  const after = {
    ...before,
    name: input.name === undefined ? before.name : checkName(input.name),
    plan: input.plan ?? before.plan,
  };
  await tx.query('update workspaces set name = $2, plan = $3 where id = $1', [after.id, after.name, after.plan]);
  const common = {
    workspaceId: after.id,
    actor: input.actor,
    resource: { type: 'workspace', id: after.id, name: after.name },
  } as const;
  if (after.name !== before.name) {
    await recordAuditEvent(tx, {
      ...common,
      type: 'Workspace Modified',
      before: { name: before.name },
      after: { name: after.name },
    });
  }
  if (after.plan !== before.plan) {
    await recordAuditEvent(tx, {
      ...common,
      type: 'Workspace Plan Modified',
      before: { plan: before.plan },
      after: { plan: after.plan },
    });
  }
  return after;
}

function shownWorkspace(row: WorkspaceRow): Record<string, unknown> {
  return { slug: row.slug, name: row.name, plan: row.plan };
}
