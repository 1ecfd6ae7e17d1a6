import { TaskFailure } from '../errors.ts';
import type { Queryable } from '../store/index.ts';
import { refuseCycle } from './definition.ts';

/**
 * Refuses to compute a definition whose references can't be what was meant: it would empty an audience at its destinations without a
 * word. `computed` are the traits that were computations when the definition was written, `open` those that nobody has resolved: a
 * computation if there is one, else a profile's trait. `resolved` has those of both that have a live version.
 *
 * Throws TaskFailure definition_refers_to_uncomputed where a reference has no version yet, definition_refers_to_deleted where it is
 * not there any more, and RequestError definition_cycle where they lead back.
 */
export async function checkReferences(
  db: Queryable,
  computation: { id: string; spaceId: string; key: string; updatedAt: Date },
  names: { computed: readonly string[]; open: readonly string[] },
  resolved: ReadonlySet<string>,
): Promise<void> {
  const { computed, open } = names;
  const missing = computed.find((name) => !resolved.has(name));
  if (missing !== undefined) await refuseMissing(db, computation.spaceId, missing);
  const unresolved = open.filter((name) => !resolved.has(name));
  if (unresolved.length > 0) await refuseUnresolved(db, computation, unresolved);
  if (resolved.size > 0) await refuseCycle(db, computation.spaceId, computation.key, [...computed, ...open]);
}

async function refuseMissing(db: Queryable, spaceId: string, name: string): Promise<never> {
  const { rowCount } = await db.query(
    'select from computations where space_id = $1 and key = $2 and deleted_at is null',
    [spaceId, name],
  );
  throw rowCount === 0
    ? new TaskFailure('definition_refers_to_deleted', `${name} was deleted after the definition was written`)
    : new TaskFailure('definition_refers_to_uncomputed', `${name} has no version yet`);
}

/** Of what nobody has resolved: one that was never computed and is disabled or paused is a draft, and its name a profile's trait. */
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
