import { hashToken } from '../security/index.ts';
import type { Queryable } from '../store/index.ts';

/** The source that a write key lets events into. */
export interface ResolvedSource {
  sourceId: string;
  workspaceId: string;
  enabled: boolean;
}

export type WriteKeyResolver = (writeKey: string) => Promise<ResolvedSource | null>;

const DEFAULT_TTL_MS = 3_000;
const MAX_ENTRIES = 10_000;

/**
 * Looks write keys up by their hash, and remembers an answer, also that there is none, for `ttlMs`: so long a revoked key or
 * a disabled source goes on. Requests that ask at the same moment share one look-up.
 */
export function createWriteKeyResolver(db: Queryable, options: { ttlMs?: number } = {}): WriteKeyResolver {
  const ttlMs = options.ttlMs ?? DEFAULT_TTL_MS;
  const remembered = new Map<string, { answer: Promise<ResolvedSource | null>; until: number }>();
  return async (writeKey) => {
    const now = Date.now();
    const known = remembered.get(writeKey);
    if (known !== undefined && known.until > now) return await known.answer;
    // Whoever tries many keys must not fill the memory with them.
    if (remembered.size >= MAX_ENTRIES) remembered.clear();
    const answer = resolveWriteKey(db, writeKey);
    remembered.set(writeKey, { answer, until: now + ttlMs });
    try {
      return await answer;
    } catch (error) {
      if (remembered.get(writeKey)?.answer === answer) remembered.delete(writeKey);
      throw error;
    }
  };
}

/** One look-up; null where the key is unknown or revoked, or its source is deleted. */
async function resolveWriteKey(db: Queryable, writeKey: string): Promise<ResolvedSource | null> {
  const { rows } = await db.query<{ id: string; workspace_id: string; enabled: boolean }>(
    `select s.id, s.workspace_id, s.enabled
     from write_keys k join sources s on s.id = k.source_id
     where k.key_hash = $1 and k.revoked_at is null and s.deleted_at is null`,
    [hashToken(writeKey)],
  );
  const [row] = rows;
  return row === undefined ? null : { sourceId: row.id, workspaceId: row.workspace_id, enabled: row.enabled };
}
