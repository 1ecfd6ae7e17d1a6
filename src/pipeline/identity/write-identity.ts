import type { Queryable } from '../../store/index.ts';
import type { AccountRow } from './space-accounts.ts';
import type { SpaceState } from './read-identity.ts';
import type { ExternalId, ProfileRow } from './space-identity.ts';

type InSpace<T> = T & { spaceId: string };

/** What a batch of messages changes about who is who, over all spaces. */
export interface IdentityBatch {
  counters: { spaceId: string; nextProfile: number; nextAccount: number }[];
  profiles: InSpace<ProfileRow>[];
  newIds: InSpace<ExternalId & { profile: number }>[];
  merges: { spaceId: string; from: number; into: number }[];
  accounts: InSpace<AccountRow>[];
}

/**
 * The changes of all spaces, with one thing more: profiles that an earlier batch merged into one that is merged now. They
 * point to where it went, so nobody ever has to follow a chain.
 */
export async function collectChanges(db: Queryable, states: ReadonlyMap<string, SpaceState>): Promise<IdentityBatch> {
  const batch: IdentityBatch = { counters: [], profiles: [], newIds: [], merges: [], accounts: [] };
  for (const [spaceId, state] of states) {
    const { nextProfile, profiles, newIds, merges } = state.identity.changes();
    const { nextAccount, accounts } = state.accounts.changes();
    batch.counters.push({ spaceId, nextProfile, nextAccount });
    batch.profiles.push(...profiles.map((row) => ({ ...row, spaceId })));
    batch.newIds.push(...newIds.map((row) => ({ ...row, spaceId })));
    batch.merges.push(...merges.map((row) => ({ ...row, spaceId })));
    batch.accounts.push(...accounts.map((row) => ({ ...row, spaceId })));
  }
  batch.profiles.push(...(await readFollowers(db, batch.merges)));
  return batch;
}

async function readFollowers(db: Queryable, merges: IdentityBatch['merges']): Promise<InSpace<ProfileRow>[]> {
  if (merges.length === 0) return [];
  const { rows } = await db.query<ProfileRow & { space_id: string }>(
    `select p.space_id, p.profile, p.user_id, p.anonymous_id, m.target as merged_into
     from unnest($1::text[], $2::int[], $3::int[]) as m (space_id, merged, target)
     join profiles p on p.space_id = m.space_id and p.merged_into = m.merged
     order by p.space_id, p.profile`,
    mergeArrays(merges),
  );
  return rows.map(({ space_id: spaceId, ...row }) => ({ ...row, spaceId }));
}

/** Writes the changes: a few statements, however many messages they come from. */
export async function writeIdentity(tx: Queryable, batch: IdentityBatch): Promise<void> {
  const { counters, profiles, newIds, merges, accounts } = batch;
  if (profiles.length > 0) {
    await tx.query(
      `insert into profiles (space_id, profile, user_id, anonymous_id, merged_into)
       select * from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::int[])
       on conflict (space_id, profile) do update set
         user_id = excluded.user_id, anonymous_id = excluded.anonymous_id, merged_into = excluded.merged_into, updated_at = now()`,
      [
        profiles.map((row) => row.spaceId),
        profiles.map((row) => row.profile),
        profiles.map((row) => row.user_id),
        profiles.map((row) => row.anonymous_id),
        profiles.map((row) => row.merged_into),
      ],
    );
  }
  if (merges.length > 0) {
    await tx.query(
      `update external_ids e set profile = m.target
       from unnest($1::text[], $2::int[], $3::int[]) as m (space_id, merged, target)
       where e.space_id = m.space_id and e.profile = m.merged`,
      mergeArrays(merges),
    );
  }
  if (newIds.length > 0) {
    await tx.query(
      `insert into external_ids (space_id, type, value, profile)
       select * from unnest($1::text[], $2::text[], $3::text[], $4::int[])`,
      [
        newIds.map((row) => row.spaceId),
        newIds.map((row) => row.type),
        newIds.map((row) => row.value),
        newIds.map((row) => row.profile),
      ],
    );
  }
  if (accounts.length > 0) {
    await tx.query(
      `insert into accounts (space_id, account, group_id) select * from unnest($1::text[], $2::int[], $3::text[])`,
      [accounts.map((row) => row.spaceId), accounts.map((row) => row.account), accounts.map((row) => row.group_id)],
    );
  }
  if (profiles.length > 0 || accounts.length > 0) {
    await tx.query(
      `insert into space_counters (space_id, next_profile, next_account)
       select * from unnest($1::text[], $2::int[], $3::int[])
       on conflict (space_id) do update set next_profile = excluded.next_profile, next_account = excluded.next_account`,
      [
        counters.map((row) => row.spaceId),
        counters.map((row) => row.nextProfile),
        counters.map((row) => row.nextAccount),
      ],
    );
  }
}

function mergeArrays(merges: IdentityBatch['merges']): [string[], number[], number[]] {
  return [merges.map((row) => row.spaceId), merges.map((row) => row.from), merges.map((row) => row.into)];
}
