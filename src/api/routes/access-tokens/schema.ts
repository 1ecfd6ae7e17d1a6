import { z } from '@hono/zod-openapi';
import { MEMBER_ROLES, type AccessTokenRow } from '../../../access/index.ts';
import { timestampSchema } from '../../schemas.ts';

export const roleSchema = z.enum([...MEMBER_ROLES, 'support']);

/** An access token without its secret, which is shown once, when it is made. */
export const accessTokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    role: roleSchema,
    createdBy: z.string(),
    createdAt: timestampSchema,
    lastUsedAt: timestampSchema.nullable(),
    revokedAt: timestampSchema.nullable(),
    expiresAt: timestampSchema.nullable().describe('When it ends by itself; null for never.'),
  })
  .openapi('AccessToken');

export function toAccessTokenResponse(row: AccessTokenRow): z.infer<typeof accessTokenSchema> {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    createdBy: row.created_by,
    createdAt: row.created_at.toISOString(),
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
    revokedAt: row.revoked_at?.toISOString() ?? null,
    expiresAt: row.expires_at?.toISOString() ?? null,
  };
}
