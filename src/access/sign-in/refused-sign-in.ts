import { recordAuditEvent, SYSTEM_ACTOR } from '../../audit/index.ts';
import { inTransaction, type PostgresPool } from '../../store/index.ts';
import type { SignInTry } from './sign-in-limit.ts';

/**
 * Tells the workspaces of a member that tries to sign in as them were refused: once within 15 minutes, however many there were and from however
 * many addresses. Nothing is written where nobody has the email, and whoever tried can't tell.
 */
export async function recordRefusedSignIn(pool: PostgresPool, { email, clientAddress }: SignInTry): Promise<void> {
  await inTransaction(pool, async (tx) => {
    // Locked, so that of two at the same moment one finds what the other has written.
    const { rows } = await tx.query<{ id: string; name: string }>(
      'select id, name from users where email = $1 for no key update',
      [email],
    );
    const [user] = rows;
    if (user === undefined) return;
    const { rows: untold } = await tx.query<{ workspace_id: string }>(
      `select m.workspace_id from workspace_members m
       where m.user_id = $1 and not exists (
         select from audit_events e
         where e.workspace_id = m.workspace_id and e.type = 'User Sign-In Refused' and e.resource_id = $1
           and e.occurred_at > now() - interval '15 minutes')`,
      [user.id],
    );
    for (const { workspace_id: workspaceId } of untold) {
      await recordAuditEvent(tx, {
        workspaceId,
        type: 'User Sign-In Refused',
        actor: SYSTEM_ACTOR,
        resource: { type: 'user', id: user.id, name: user.name },
        outcome: 'failure',
        details: { clientAddress: clientAddress ?? null },
      });
    }
  });
}
