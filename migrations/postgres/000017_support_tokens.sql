-- A token is worth as much as the person who made it may still do: issuer_user_id is that person, also where a token of theirs made
-- it; null for one that was made on the server. A token of support ends by itself, and with the session that it was made in.
alter table access_tokens
  add column expires_at timestamptz,
  add column issuer_user_id text,
  add column session_hash bytea;
with recursive issued as (
  select t.id, t.created_by from access_tokens t join users u on u.id = t.created_by
  union
  select t.id, issued.created_by from access_tokens t join issued on t.created_by = issued.id
)
update access_tokens t set issuer_user_id = issued.created_by from issued where issued.id = t.id;
update access_tokens set expires_at = now() + interval '12 hours' where role = 'support';
alter table access_tokens add constraint access_tokens_support check (role <> 'support' or expires_at is not null);
create index access_tokens_issuer on access_tokens (issuer_user_id) where issuer_user_id is not null;

-- That a session or a token has entered a workspace with the rights of support is in the trail: once for each of them.
create table support_entries (
  -- a token's id, or the hash of a session's secret in hex
  entry text not null,
  workspace_id text not null references workspaces on delete cascade,
  entered_at timestamptz not null default clock_timestamp(),
  primary key (entry, workspace_id)
);
