import type { Queryable } from '../../store/index.ts';
import { SpaceAccounts } from './space-accounts.ts';
import {
  idsOf,
  SpaceIdentity,
  type ExternalId,
  type ExternalIdType,
  type IdentifiedMessage,
  type ProfileRow,
} from './space-identity.ts';

/** Who is who in one space, as far as a batch of messages needs it. */
export interface SpaceState {
  identity: SpaceIdentity;
  accounts: SpaceAccounts;
}

export interface SpaceMessage extends IdentifiedMessage {
  groupId?: string | null;
}

/** Reads what is known about the ids of messages, for all spaces at once. A space that is gone is not in the result. */
export async function readIdentity(
  db: Queryable,
  messages: ReadonlyMap<string, readonly SpaceMessage[]>,
): Promise<Map<string, SpaceState>> {
  const states = await readCounters(db, [...messages.keys()]);
  const ids: { spaceId: string; id: ExternalId }[] = [];
  const groups: { spaceId: string; groupId: string }[] = [];
  for (const [spaceId, spaceMessages] of messages) {
    if (!states.has(spaceId)) continue;
    ids.push(...distinctIds(spaceMessages).map((id) => ({ spaceId, id })));
    groups.push(...distinctGroups(spaceMessages).map((groupId) => ({ spaceId, groupId })));
  }
  await readProfiles(db, states, ids);
  await readAccounts(db, states, groups);
  return states;
}

async function readCounters(db: Queryable, spaceIds: string[]): Promise<Map<string, SpaceState>> {
  const { rows } = await db.query<{ id: string; next_profile: number; next_account: number }>(
    `select s.id, coalesce(c.next_profile, 1) as next_profile, coalesce(c.next_account, 1) as next_account
     from spaces s left join space_counters c on c.space_id = s.id where s.id = any($1)`,
    [spaceIds],
  );
  return new Map(
    rows.map((row) => [
      row.id,
      { identity: new SpaceIdentity(row.next_profile), accounts: new SpaceAccounts(row.next_account) },
    ]),
  );
}

async function readProfiles(
  db: Queryable,
  states: Map<string, SpaceState>,
  ids: { spaceId: string; id: ExternalId }[],
): Promise<void> {
  if (ids.length === 0) return;
  const { rows } = await db.query<ProfileRow & { space_id: string; type: ExternalIdType; value: string }>(
    `select e.space_id, e.type, e.value, p.profile, p.user_id, p.anonymous_id, p.merged_into
     from unnest($1::text[], $2::text[], $3::text[]) as k (space_id, type, value)
     join external_ids e on e.space_id = k.space_id and e.type = k.type and e.value = k.value
     join profiles p on p.space_id = e.space_id and p.profile = e.profile`,
    [ids.map(({ spaceId }) => spaceId), ids.map(({ id }) => id.type), ids.map(({ id }) => id.value)],
  );
  for (const { space_id: spaceId, type, value, ...profile } of rows) {
    states.get(spaceId)?.identity.know({ type, value }, profile);
  }
}

async function readAccounts(
  db: Queryable,
  states: Map<string, SpaceState>,
  groups: { spaceId: string; groupId: string }[],
): Promise<void> {
  if (groups.length === 0) return;
  const { rows } = await db.query<{ space_id: string; group_id: string; account: number }>(
    `select a.space_id, a.group_id, a.account
     from unnest($1::text[], $2::text[]) as k (space_id, group_id)
     join accounts a on a.space_id = k.space_id and a.group_id = k.group_id`,
    [groups.map(({ spaceId }) => spaceId), groups.map(({ groupId }) => groupId)],
  );
  for (const { space_id: spaceId, ...account } of rows) states.get(spaceId)?.accounts.know(account);
}

function distinctIds(messages: readonly SpaceMessage[]): ExternalId[] {
  const distinct = new Map<string, ExternalId>();
  for (const id of messages.flatMap(idsOf)) distinct.set(`${id.type}:${id.value}`, id);
  return [...distinct.values()];
}

function distinctGroups(messages: readonly SpaceMessage[]): string[] {
  return [...new Set(messages.flatMap(({ type, groupId }) => (type === 'group' && groupId ? [groupId] : [])))];
}
