import { LRUCache } from 'lru-cache';
import { hashToken } from '../../security/index.ts';
import type { Queryable } from '../../store/index.ts';
import { isWriteKey } from '../sources/write-keys.ts';

/** The source that a write key lets events into. */
export interface ResolvedSource {
  /** The hash of the key: what is appended under it says so. */
  keyHash: Buffer;
  sourceId: string;
  workspaceId: string;
  enabled: boolean;
}

/** `anew`: whatever is remembered of the key. */
export type WriteKeyResolver = (writeKey: string, options?: { anew?: boolean }) => Promise<ResolvedSource | null>;

const DEFAULT_TTL_MS = 3_000;
const MAX_KNOWN = 10_000;
const MAX_UNKNOWN = 10_000;

/**
 * Looks write keys up by their hash, and remembers an answer, also that there is none, for `ttlMs`: so long a revoked key or
 * a disabled source goes on here, and is refused where its events would be appended. Requests that ask at the same moment share
 * one look-up. A text that can be no write key is asked of nobody. What is remembered is of one size an entry, whatever was sent, and of the unknown keys apart from the known ones:
 * who tries many keys pushes out no key that is in use.
 */
export function createWriteKeyResolver(db: Queryable, options: { ttlMs?: number } = {}): WriteKeyResolver {
  const ttl = options.ttlMs ?? DEFAULT_TTL_MS;
  const known = new LRUCache<string, ResolvedSource>({ max: MAX_KNOWN, ttl });
  const unknown = new LRUCache<string, true>({ max: MAX_UNKNOWN, ttl });
  // Each look-up that is under way has a request that waits for it.
  const underWay = new Map<string, Promise<ResolvedSource | null>>();
  const lookUp = async (key: string, hash: Buffer): Promise<ResolvedSource | null> => {
    try {
      const source = await resolveWriteKey(db, hash);
      // To the cache, no time means for ever.
      if (ttl === 0) return source;
      if (source === null) unknown.set(key, true);
      else known.set(key, source);
      return source;
    } finally {
      underWay.delete(key);
    }
  };
  return async (writeKey, { anew = false } = {}) => {
    if (!isWriteKey(writeKey)) return null;
    const hash = hashToken(writeKey);
    const key = hash.toString('base64');
    if (anew) {
      known.delete(key);
      return await lookUp(key, hash);
    }
    const found = known.get(key);
    if (found !== undefined) return found;
    if (unknown.has(key)) return null;
    const same = underWay.get(key);
    if (same !== undefined) return await same;
    const answer = lookUp(key, hash);
    underWay.set(key, answer);
    return await answer;
  };
}

/** One look-up; null where the key is unknown or revoked, or its source is deleted. */
async function resolveWriteKey(db: Queryable, hash: Buffer): Promise<ResolvedSource | null> {
  const { rows } = await db.query<{ id: string; workspace_id: string; enabled: boolean }>(
    `select s.id, s.workspace_id, s.enabled
     from write_keys k join sources s on s.id = k.source_id
     where k.key_hash = $1 and k.revoked_at is null and s.deleted_at is null`,
    [hash],
  );
  const [row] = rows;
  if (row === undefined) return null;
  return { keyHash: hash, sourceId: row.id, workspaceId: row.workspace_id, enabled: row.enabled };
}
