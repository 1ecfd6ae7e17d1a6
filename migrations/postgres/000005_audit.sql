-- audit event: one immutable record in the trail, written in the transaction of the change that it tells of.
create table audit_events (
  id text primary key,
  workspace_id text not null references workspaces on delete restrict,
  space_id text,
  type text not null,
  actor_kind text not null check (actor_kind in ('user', 'token', 'support', 'system')),
  actor_id text not null,
  actor_name text not null,
  actor_email text,
  resource_type text not null,
  resource_id text not null,
  resource_name text not null,
  outcome text not null default 'success' check (outcome in ('success', 'failure')),
  task_id text,
  attempt integer,
  details jsonb not null default '{}',
  before jsonb,
  after jsonb,
  occurred_at timestamptz not null default clock_timestamp()
);
create index audit_events_latest on audit_events (workspace_id, occurred_at desc, id desc);
create index audit_events_resource on audit_events (workspace_id, resource_id, occurred_at desc, id desc);
create index audit_events_type on audit_events (workspace_id, type, occurred_at desc, id desc);
create index audit_events_actor on audit_events (workspace_id, actor_id, occurred_at desc, id desc);
create index audit_events_actor_email on audit_events (workspace_id, actor_email, occurred_at desc, id desc)
  where actor_email is not null;
create index audit_events_task on audit_events (task_id) where task_id is not null;

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'audit events are append-only: % of % refused', tg_op, tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger audit_events_append_only before update or delete on audit_events for each row execute function refuse_change();
create trigger audit_events_no_truncate before truncate on audit_events for each statement execute function refuse_change();
