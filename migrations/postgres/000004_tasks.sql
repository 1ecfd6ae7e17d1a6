-- task: one unit of scheduled work, a run of one computation or a sync of one connection.
create table tasks (
  id text primary key,
  workspace_id text not null references workspaces on delete cascade,
  space_id text not null references spaces on delete cascade,
  computation_id text not null references computations on delete cascade,
  connection_id text references connections on delete cascade,
  parent_task_id text references tasks on delete set null,
  kind text not null check (kind in ('run', 'sync')),
  reason text not null check (reason in ('scheduled', 'created', 'edited', 'run_now', 'fan_out', 'catch_up')),
  status text not null default 'pending'
    check (status in ('pending', 'running', 'backing_off', 'succeeded', 'failed', 'cancelled')),
  -- attempts started so far, 0 before the first
  attempt integer not null default 0,
  max_attempts integer not null default 6,
  -- what came of it, for people: counts of members, entered, exited, delivered, rejected, skipped
  result jsonb,
  retry_at timestamptz,
  -- when its workflow was started, or found to be there; the scheduler starts what is pending without it
  dispatched_at timestamptz,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  ended_at timestamptz,
  check ((kind = 'sync') = (connection_id is not null))
);
-- one run per computation, one sync per connection at a time
create unique index tasks_one_run on tasks (computation_id)
  where kind = 'run' and status in ('pending', 'running', 'backing_off');
create unique index tasks_one_sync on tasks (connection_id)
  where kind = 'sync' and status in ('pending', 'running', 'backing_off');
create index tasks_computation on tasks (computation_id, kind, created_at desc);
create index tasks_connection on tasks (connection_id, created_at desc) where connection_id is not null;
create index tasks_latest on tasks (workspace_id, created_at desc, id desc);
create index tasks_undispatched on tasks (created_at) where status = 'pending' and dispatched_at is null;
create index tasks_open on tasks (dispatched_at) where status in ('pending', 'running', 'backing_off');

-- step: one part of a task. completed_at is its checkpoint, cursor how far inside it we are.
create table steps (
  task_id text not null references tasks on delete cascade,
  position smallint not null,
  name text not null,
  started_at timestamptz,
  completed_at timestamptz,
  cursor jsonb,
  -- rows done of rows total, for people; null where the step does not count rows
  progress_done integer,
  progress_total integer,
  output jsonb,
  -- how often it was begun; a step that completed is never begun again
  executions integer not null default 0,
  primary key (task_id, name)
);

-- attempt: one try at a task. A failed one says which step, the failure's code, and whether it was transient or hard.
create table attempts (
  task_id text not null references tasks on delete cascade,
  attempt integer not null,
  started_at timestamptz not null default now(),
  ended_at timestamptz,
  outcome text check (outcome in ('succeeded', 'failed', 'cancelled')),
  step text,
  code text,
  failure_class text check (failure_class in ('transient', 'hard')),
  message text,
  detail text,
  primary key (task_id, attempt)
);

-- Rows a destination refused for good, with its answer. They stay in the difference to the baseline.
create table rejected_rows (
  task_id text not null references tasks on delete cascade,
  idx integer not null,
  profile integer not null,
  status integer,
  reason text not null,
  created_at timestamptz not null default now(),
  primary key (task_id, idx)
);
