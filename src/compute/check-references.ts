import { TaskFailure } from '../errors.ts';
import type { Queryable } from '../store/index.ts';
import { refuseCycle } from './computations-definition.ts';

/**
 * Refuses to compute a definition whose references can't be what was meant. Writing and deleting refuse most of it; what gets past
 * them would empty an audience at its destinations without a word, because a name that is no computation is a profile's trait.
 *
 * Throws TaskFailure definition_refers_to_uncomputed where a reference waits for its own first run, definition_refers_to_deleted
 * where one was deleted after the definition was written, and RequestError definition_cycle where they lead back.
 * One that was never computed and is disabled or paused is a draft: its name goes on to be the profile's trait.
 */
export async function checkReferences(
  db: Queryable,
  computation: { id: string; spaceId: string; key: string; updatedAt: Date },
  names: readonly string[],
  resolved: Readonly<Record<string, unknown>>,
): Promise<void> {
  const unresolved = names.filter((name) => !Object.hasOwn(resolved, name));
  if (unresolved.length > 0) await refuseUnresolved(db, computation, unresolved);
  if (unresolved.length < names.length) await refuseCycle(db, computation.spaceId, computation.key, [...names]);
}

async function refuseUnresolved(
  db: Queryable,
  computation: { id: string; spaceId: string; updatedAt: Date },
  names: readonly string[],
): Promise<void> {
  const { rows } = await db.query<{ key: string; deleted: boolean }>(
    `select key, bool_and(deleted_at is not null) as deleted
     from computations
     where space_id = $1 and key = any($2) and id <> $3
       and case when deleted_at is null then live_version is null and enabled and paused_at is null
                else deleted_at > $4 end
     group by key order by deleted, key`,
    [computation.spaceId, names, computation.id, computation.updatedAt],
  );
  // A key whose computation was deleted and made anew, and has been computed, is resolved; so is not among these.
  const [first] = rows;
  if (first === undefined) return;
  throw first.deleted
    ? new TaskFailure('definition_refers_to_deleted', `${first.key} was deleted after the definition was written`)
    : new TaskFailure('definition_refers_to_uncomputed', `${first.key} has no version yet`);
}
