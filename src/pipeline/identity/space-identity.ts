import type { EventType } from '../message-types.ts';

export type ExternalIdType = 'user_id' | 'anonymous_id';

/** A profile of PostgreSQL's. merged_into is null for one that stands. */
export interface ProfileRow {
  profile: number;
  user_id: string | null;
  anonymous_id: string | null;
  merged_into: number | null;
}

/** The ids of a message; each absent, null or '' where there is none. */
export interface IdentifiedMessage {
  type: EventType;
  userId?: string | null;
  anonymousId?: string | null;
  previousId?: string | null;
}

export interface ExternalId {
  type: ExternalIdType;
  value: string;
}

/** What messages have changed in a space. */
export interface IdentityChanges {
  nextProfile: number;
  /** New profiles, and those that got an id or were merged. */
  profiles: ProfileRow[];
  /** Ids that nobody had, each with the profile that it belongs to now. */
  newIds: (ExternalId & { profile: number })[];
  /** Profiles that existed before and were merged: whatever else points to `from` has to point to `into`. */
  merges: { from: number; into: number }[];
}

/** The ids that have to be known before a message can be resolved. */
export function idsOf(message: IdentifiedMessage): ExternalId[] {
  const { userId, anonymousId, previousId } = message;
  if (message.type === 'alias') {
    return [...idOf('user_id', userId), ...idOf('user_id', previousId), ...idOf('anonymous_id', previousId)];
  }
  return [...idOf('user_id', userId), ...idOf('anonymous_id', anonymousId)];
}

function idOf(type: ExternalIdType, value: string | null | undefined): ExternalId[] {
  return value === undefined || value === null || value === '' ? [] : [{ type, value }];
}

interface Profile extends ProfileRow {
  existed: boolean;
  changed: boolean;
}

/**
 * Who is who in one space, message by message: pure, so that the same messages give the same profiles however they are cut
 * into batches. Load what is known with `know`, give it the messages in their order, and write its `changes`.
 *
 * The rules, which docs/decisions/0004-ingest.md gives reasons for:
 * - a user id belongs to one profile for ever; an anonymous id too, once it is linked;
 * - a profile without a user id is merged into the user's when both ids come in one message, or by alias;
 * - a profile that has a user id is merged into another's by an alias that names that user id, and by nothing else.
 */
export class SpaceIdentity {
  readonly #ids = new Map<string, number>();
  readonly #newIds = new Map<string, ExternalId>();
  readonly #profiles = new Map<number, Profile>();
  #nextProfile: number;

  constructor(nextProfile: number) {
    this.#nextProfile = nextProfile;
  }

  /** An id that PostgreSQL has, with the standing profile that it belongs to. */
  know(id: ExternalId, row: ProfileRow): void {
    this.#ids.set(keyOf(id), row.profile);
    if (!this.#profiles.has(row.profile)) {
      this.#profiles.set(row.profile, { ...row, existed: true, changed: false });
    }
  }

  /** The number of the profile that a message belongs to. */
  resolve(message: IdentifiedMessage): number {
    const { userId, anonymousId, previousId } = message;
    if (message.type === 'alias') return this.#alias(required(previousId), required(userId)).profile;
    if (!userId) return this.#ofAnonymous(required(anonymousId)).profile;
    return anonymousId ? this.#link(userId, anonymousId).profile : this.#ofUser(userId).profile;
  }

  changes(): IdentityChanges {
    const changed = [...this.#profiles.values()].filter((profile) => profile.changed);
    return {
      nextProfile: this.#nextProfile,
      profiles: changed.map(({ profile, user_id, anonymous_id, merged_into }) => ({
        profile,
        user_id,
        anonymous_id,
        merged_into: merged_into === null ? null : this.#standing(merged_into).profile,
      })),
      newIds: [...this.#newIds].map(([key, id]) => ({ ...id, profile: this.#find(key)?.profile ?? 0 })),
      merges: changed.flatMap(({ profile, existed, merged_into }) =>
        existed && merged_into !== null ? [{ from: profile, into: this.#standing(merged_into).profile }] : [],
      ),
    };
  }

  #link(userId: string, anonymousId: string): Profile {
    const user = this.#lookUp('user_id', userId);
    const anonymous = this.#lookUp('anonymous_id', anonymousId);
    if (anonymous === undefined) {
      const owner = user ?? this.#create(userId);
      this.#addAnonymous(owner, anonymousId);
      return owner;
    }
    return this.#joinUser(anonymous, userId, user);
  }

  #alias(previousId: string, userId: string): Profile {
    const user = this.#lookUp('user_id', userId);
    if (previousId === userId) return user ?? this.#create(userId);
    const previousUser = this.#lookUp('user_id', previousId);
    if (previousUser !== undefined) {
      const owner = user ?? this.#create(userId);
      if (owner !== previousUser) this.#merge(previousUser, owner);
      return owner;
    }
    // Not a user id, so an anonymous id, as with any other message that has both.
    return this.#link(userId, previousId);
  }

  /** A profile known by an anonymous id, and a user id: one person, unless the profile is another user's. */
  #joinUser(anonymous: Profile, userId: string, user: Profile | undefined): Profile {
    if (anonymous.user_id !== null) return user ?? this.#create(userId);
    if (user === undefined) {
      this.#setId('user_id', userId, anonymous);
      anonymous.user_id = userId;
      anonymous.changed = true;
      return anonymous;
    }
    this.#merge(anonymous, user);
    return user;
  }

  #ofUser(userId: string): Profile {
    return this.#lookUp('user_id', userId) ?? this.#create(userId);
  }

  #ofAnonymous(anonymousId: string): Profile {
    const known = this.#lookUp('anonymous_id', anonymousId);
    if (known !== undefined) return known;
    const profile = this.#create(null);
    this.#addAnonymous(profile, anonymousId);
    return profile;
  }

  #create(userId: string | null): Profile {
    const profile: Profile = {
      profile: this.#nextProfile,
      user_id: userId,
      anonymous_id: null,
      merged_into: null,
      existed: false,
      changed: true,
    };
    this.#nextProfile += 1;
    this.#profiles.set(profile.profile, profile);
    if (userId !== null) this.#setId('user_id', userId, profile);
    return profile;
  }

  /** A profile shows the anonymous id that it had first. */
  #addAnonymous(profile: Profile, anonymousId: string): void {
    this.#setId('anonymous_id', anonymousId, profile);
    if (profile.anonymous_id !== null) return;
    profile.anonymous_id = anonymousId;
    profile.changed = true;
  }

  #merge(from: Profile, into: Profile): void {
    from.merged_into = into.profile;
    from.changed = true;
    if (into.anonymous_id !== null || from.anonymous_id === null) return;
    into.anonymous_id = from.anonymous_id;
    into.changed = true;
  }

  #setId(type: ExternalIdType, value: string, profile: Profile): void {
    const id = { type, value };
    this.#ids.set(keyOf(id), profile.profile);
    this.#newIds.set(keyOf(id), id);
  }

  #lookUp(type: ExternalIdType, value: string): Profile | undefined {
    return this.#find(keyOf({ type, value }));
  }

  #find(key: string): Profile | undefined {
    const profile = this.#ids.get(key);
    return profile === undefined ? undefined : this.#standing(profile);
  }

  /** The profile that a number stands for now. Chains are as long as one batch makes them. */
  #standing(number: number): Profile {
    let profile = this.#profiles.get(number);
    while (profile !== undefined && profile.merged_into !== null) profile = this.#profiles.get(profile.merged_into);
    if (profile === undefined) throw new Error(`profile ${number} was not loaded`);
    return profile;
  }
}

function keyOf({ type, value }: ExternalId): string {
  return `${type}:${value}`;
}

function required(id: string | null | undefined): string {
  if (id === undefined || id === null || id === '') throw new Error('a message without an id is in the event log');
  return id;
}
