-- alert: a message to people about an audit event. Its decision and the rule that decided are stored with it.
--   sent: went out at once. held: waits for its task's outcome. folded: the task recovered, or its hard failure's (or a later released) alert carries it.
--   released: no outcome came in time, so it went out. suppressed: nobody needs it any more (its task was cancelled).
create table alerts (
  id text primary key,
  workspace_id text not null references workspaces on delete cascade,
  audit_event_id text not null references audit_events,
  task_id text references tasks on delete cascade,
  computation_id text references computations on delete cascade,
  kind text not null check (kind in ('transient_failure', 'hard_failure', 'recovery', 'notice')),
  decision text not null check (decision in ('sent', 'held', 'folded', 'released', 'suppressed')),
  rule text not null,
  title text not null,
  body text not null,
  attempts jsonb not null default '[]',
  hold_until timestamptz check ((decision = 'held') = (hold_until is not null)),
  folded_into text references alerts,
  created_at timestamptz not null default clock_timestamp(),
  decided_at timestamptz not null default clock_timestamp(),
  unique (audit_event_id)
);
create index alerts_latest on alerts (workspace_id, created_at desc, id desc);
create index alerts_held on alerts (hold_until) where decision = 'held';
create index alerts_held_workspace on alerts (workspace_id) where decision = 'held';
create index alerts_task on alerts (task_id) where task_id is not null;

-- channel: where alerts go besides the app. A webhook is signed as Standard Webhooks.
create table channels (
  id text primary key,
  workspace_id text not null references workspaces on delete cascade,
  kind text not null check (kind in ('webhook')),
  name text not null,
  url text not null,
  secret_box bytea not null,
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  deleted_at timestamptz
);
create index channels_workspace on channels (workspace_id) where deleted_at is null;

-- One alert to one channel. Delivery has its own retries; dead is its dead-letter state.
create table alert_deliveries (
  id text primary key,
  alert_id text not null references alerts on delete cascade,
  channel_id text not null references channels on delete cascade,
  status text not null default 'pending' check (status in ('pending', 'delivered', 'dead')),
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_error text,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  unique (alert_id, channel_id)
);
create index alert_deliveries_pending on alert_deliveries (next_attempt_at) where status = 'pending';
create index alert_deliveries_channel on alert_deliveries (channel_id, ended_at desc);
