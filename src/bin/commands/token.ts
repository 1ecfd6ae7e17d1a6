import { createAccessToken, createSpace, createWorkspace, findWorkspace } from '../../access/index.ts';
import { SYSTEM_ACTOR } from '../../audit/index.ts';
import { StartError } from '../../embedded/index.ts';
import { createPool, inTransaction } from '../../store/index.ts';
import type { Context } from '../context.ts';
import { requireDatabaseUrl } from '../system/running.ts';

export interface TokenOptions {
  /** Slug or id. */
  workspace: string;
  name: string;
  role: 'workspace_owner' | 'workspace_member' | 'support';
  create?: boolean;
}

/** `trailmark token`: makes an access token and prints it, alone on stdout, so that a script can take it. */
export async function runToken({ config }: Context, options: TokenOptions): Promise<void> {
  const pool = createPool({
    connectionString: await requireDatabaseUrl(config),
    applicationName: 'trailmark-token',
    max: 1,
    onError: () => undefined,
  });
  try {
    const { token, expiresAt } = await inTransaction(pool, async (tx) => {
      const actor = SYSTEM_ACTOR;
      let workspace = await findWorkspace(tx, options.workspace);
      if (workspace === undefined && options.create === true) {
        const slug = options.workspace;
        workspace = await createWorkspace(tx, { slug, name: slug, plan: 'business', actor });
        await createSpace(tx, { workspaceId: workspace.id, slug: 'main', name: 'Main', actor });
        console.error(`Made the workspace ${slug}, on the business plan, with a space called main.`);
      }
      if (workspace === undefined) {
        const { rows } = await tx.query<{ slug: string }>('select slug from workspaces order by slug limit 20');
        const known = rows.map(({ slug }) => slug).join(', ');
        throw new StartError(
          `There is no workspace ${options.workspace}. ${known === '' ? 'There is none at all yet.' : `There are: ${known}.`} Add --create to make it.`,
        );
      }
      const { name, role } = options;
      return await createAccessToken(tx, { workspaceId: workspace.id, name, role, actor });
    });
    console.error('It is shown this once; only a hash of it is kept.');
    if (expiresAt !== null) {
      console.error(`It ends at ${expiresAt.toISOString()}. That it is used is in the workspace's trail.`);
    }
    console.log(token);
  } finally {
    await pool.end();
  }
}
