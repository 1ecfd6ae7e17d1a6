-- source: where events come in. write key: the secret that lets them in; looked up by hash, kept encrypted so an owner can read it back.
create table sources (
  id text primary key,
  workspace_id text not null references workspaces on delete cascade,
  slug text not null,
  name text not null,
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create unique index sources_slug on sources (workspace_id, slug) where deleted_at is null;

create table write_keys (
  id text primary key,
  source_id text not null references sources on delete cascade,
  key_hash bytea not null unique,
  key_box bytea not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);
create index write_keys_source on write_keys (source_id);

-- The spaces whose profiles a source's events go into.
create table space_sources (
  space_id text not null references spaces on delete cascade,
  source_id text not null references sources on delete cascade,
  primary key (space_id, source_id)
);
create index space_sources_source on space_sources (source_id);

-- The event log's tail. Consumers read it in (xid, position) order up to pg_snapshot_xmin(pg_current_snapshot()):
-- a row that commits late has a later xid than every row a consumer has passed, so none is missed.
-- The unique key is the deduplication window: as long as a row is kept, its messageId is refused a second time.
create table event_log (
  xid xid8 not null default pg_current_xact_id(),
  position bigint generated always as identity,
  workspace_id text not null,
  source_id text not null,
  message_id text not null,
  type text not null check (type in ('track', 'identify', 'page', 'screen', 'group', 'alias')),
  event json not null,
  received_at timestamptz not null default now(),
  primary key (xid, position),
  unique (source_id, message_id)
);
create index event_log_received on event_log using brin (received_at);

-- How far a consumer of the event log has come. leased_until keeps a second process from reading along. claimed_… is the end
-- of the range that is being loaded, written down before the first insert: whoever loads it again cuts the same range, so the
-- insert's deduplication token is the same. claimed_spaces says which spaces each source's events went into when it was cut.
create table consumers (
  name text primary key,
  last_xid xid8 not null default '0',
  last_position bigint not null default 0,
  claimed_xid xid8,
  claimed_position bigint,
  claimed_spaces jsonb,
  -- so far, over the life of the consumer: orders what it writes
  loaded_rows bigint not null default 0,
  loaded_batches bigint not null default 0,
  lease_owner text,
  leased_until timestamptz,
  updated_at timestamptz not null default now(),
  check ((claimed_xid is null) = (claimed_position is null) and (claimed_xid is null) = (claimed_spaces is null))
);

-- Identity: which profile (a number within its space, so that memberships fit a Roaring bitmap) an external id belongs to.
-- ClickHouse has a copy of profiles and accounts for computing; the truth about who is who is here, where it is transactional.
create table space_counters (
  space_id text primary key references spaces on delete cascade,
  next_profile integer not null default 1,
  next_account integer not null default 1
);
create table profiles (
  space_id text not null references spaces on delete cascade,
  profile integer not null,
  user_id text,
  anonymous_id text,
  merged_into integer,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (space_id, profile)
);
create index profiles_merged on profiles (space_id, merged_into) where merged_into is not null;
create table external_ids (
  space_id text not null references spaces on delete cascade,
  type text not null check (type in ('user_id', 'anonymous_id')),
  value text not null,
  profile integer not null,
  primary key (space_id, type, value)
);
create index external_ids_profile on external_ids (space_id, profile);
create table accounts (
  space_id text not null references spaces on delete cascade,
  account integer not null,
  group_id text not null,
  created_at timestamptz not null default now(),
  primary key (space_id, account),
  unique (space_id, group_id)
);
