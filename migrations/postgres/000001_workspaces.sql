-- workspace: the tenant. space: a set of profiles and computations inside it. See ARCHITECTURE.md, Words.
create table workspaces (
  id text primary key,
  slug text not null unique,
  name text not null,
  plan text not null check (plan in ('free', 'team', 'business', 'add_on')),
  created_at timestamptz not null default now()
);

-- One row per workspace. reduced_notifications holds alerts about transient failures back until their task ends.
create table workspace_settings (
  workspace_id text primary key references workspaces on delete cascade,
  reduced_notifications boolean not null default false,
  reduced_notifications_reason text,
  reduced_notifications_expires_at timestamptz,
  updated_at timestamptz not null default now()
);

create table users (
  id text primary key,
  email text not null check (email = lower(email)),
  name text not null,
  password_hash text not null,
  is_support boolean not null default false,
  created_at timestamptz not null default now(),
  unique (email)
);

create table workspace_members (
  workspace_id text not null references workspaces on delete cascade,
  user_id text not null references users on delete cascade,
  role text not null check (role in ('workspace_owner', 'workspace_member')),
  created_at timestamptz not null default now(),
  primary key (workspace_id, user_id)
);

-- A signed-in browser. Only the hash of the cookie's secret is kept.
create table sessions (
  token_hash bytea primary key,
  user_id text not null references users on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sessions_user on sessions (user_id);

-- How often sign-in was tried in the current window, by a hash of email, or of email and client address.
create table sign_in_limits (
  key_hash bytea primary key,
  attempts integer not null,
  window_started_at timestamptz not null
);
create index sign_in_limits_window on sign_in_limits (window_started_at);

-- role 'support' is for support staff's own tools: it may switch reduced notifications and nothing else of an owner's.
create table access_tokens (
  id text primary key,
  workspace_id text not null references workspaces on delete cascade,
  name text not null,
  role text not null check (role in ('workspace_owner', 'workspace_member', 'support')),
  token_hash bytea not null unique,
  created_by text not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  revoked_at timestamptz
);
create index access_tokens_workspace on access_tokens (workspace_id);

create table spaces (
  id text primary key,
  workspace_id text not null references workspaces on delete cascade,
  slug text not null,
  name text not null,
  created_at timestamptz not null default now(),
  unique (workspace_id, slug)
);
