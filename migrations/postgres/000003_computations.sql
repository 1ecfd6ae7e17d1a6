-- computation: an audience or a computed trait.
create table computations (
  id text primary key,
  workspace_id text not null references workspaces on delete cascade,
  space_id text not null references spaces on delete cascade,
  kind text not null check (kind in ('audience', 'computed_trait')),
  key text not null,
  name text not null,
  description text not null default '',
  definition_type text not null check (definition_type in ('USERS', 'ACCOUNTS')),
  definition_query text not null,
  definition_version integer not null default 1,
  enabled boolean not null default true,
  schedule_interval_seconds integer not null check (schedule_interval_seconds >= 10),
  next_run_at timestamptz not null default now(),
  -- The live version: what the last committed run computed. The one before it stays for comparison.
  live_version bigint,
  live_as_of timestamptz,
  live_size bigint,
  live_definition_version integer,
  previous_version bigint,
  created_by text not null,
  updated_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);
create unique index computations_key on computations (space_id, key) where deleted_at is null;
create index computations_due on computations (next_run_at) where enabled and deleted_at is null;
create index computations_space on computations (space_id, kind, id);

-- Names each thing that is written to ClickHouse by one execution of a step (a computed version, a frozen extract):
-- what an execution that died left behind has a number that nothing refers to.
create sequence version_seq;

-- destination: a tool that we send to. slug names its Segment action destination. settings_box is the encrypted JSON of its settings.
create table destinations (
  id text primary key,
  workspace_id text not null references workspaces on delete cascade,
  space_id text not null references spaces on delete cascade,
  slug text not null,
  name text not null,
  enabled boolean not null default true,
  settings_box bytea not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);
create index destinations_space on destinations (space_id) where deleted_at is null;

-- subscription: what of a destination is switched on (one of its actions, for events that the trigger matches), and how fields map.
create table subscriptions (
  id text primary key,
  destination_id text not null references destinations on delete cascade,
  name text not null,
  action text not null,
  trigger text not null,
  mapping jsonb not null,
  enabled boolean not null default true,
  created_at timestamptz not null default now()
);
create index subscriptions_destination on subscriptions (destination_id);

-- connection: one computation sent to one destination. Its baseline in ClickHouse is keyed by its id.
create table connections (
  id text primary key,
  computation_id text not null references computations on delete cascade,
  destination_id text not null references destinations on delete cascade,
  enabled boolean not null default true,
  -- settings of the audience at the destination, and the id the destination gave it (step prepare)
  audience_settings jsonb not null default '{}',
  external_audience_id text,
  synced_version bigint,
  synced_at timestamptz,
  created_at timestamptz not null default now(),
  unique (computation_id, destination_id)
);
create index connections_destination on connections (destination_id);
