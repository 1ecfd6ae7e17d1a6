-- Schedules: every so many seconds, or a cron expression in a time zone. next_slot_at is the slot itself; next_run_at is when
-- the run of that slot is due, which jitter moves behind it.
alter table computations
  alter column schedule_interval_seconds drop not null,
  add column schedule_cron text,
  add column schedule_time_zone text,
  add column schedule_jitter_seconds integer not null default 0 check (schedule_jitter_seconds >= 0),
  add column next_slot_at timestamptz not null default now(),
  -- the traits that the definition refers to: what of them is a computation runs before it
  add column refers_to text[] not null default '{}',
  -- a paused computation keeps its tasks where they are, and has no new ones
  add column paused_at timestamptz,
  add column paused_by text,
  -- hard failures of runs in a row; a success and enabling set it to 0
  add column hard_failures integer not null default 0,
  -- why the system disabled it; null when a person did, or nobody
  add column disabled_reason text,
  -- A run that would remove more than this share of more than so many members stops and asks; null is off.
  add column guard_share double precision default 0.5 check (guard_share > 0 and guard_share <= 1),
  add column guard_min_members integer not null default 100 check (guard_min_members >= 0),
  add constraint computations_schedule check (
    (schedule_interval_seconds is null) <> (schedule_cron is null)
    and (schedule_cron is null) = (schedule_time_zone is null)
  );
update computations set next_slot_at = next_run_at;
drop index computations_due;
create index computations_due on computations (next_run_at) where enabled and deleted_at is null and paused_at is null;

alter table connections
  -- hard failures of syncs in a row; a success and resuming set it to 0
  add column hard_failures integer not null default 0,
  -- the system sends nothing more to it, until someone resumes it
  add column suspended_at timestamptz,
  add column suspended_reason text,
  -- someone wants everything sent again: the next sync that begins after it does
  add column resync_requested_at timestamptz;

-- Caps: tasks that are under way at once. What is over them waits for its turn.
alter table spaces
  add column max_runs integer not null default 10 check (max_runs >= 1),
  add column max_backfills integer not null default 5 check (max_backfills >= 1);
alter table destinations
  add column max_syncs integer not null default 5 check (max_syncs >= 1);
-- After so many hard failures in a row a computation is disabled, a connection suspended; null is off.
alter table workspace_settings
  add column auto_disable_after integer default 3 check (auto_disable_after >= 1);

-- circuit breaker: a destination that failed so often in a row is left alone until open_until; then one sync tries.
create table destination_circuits (
  destination_id text primary key references destinations on delete cascade,
  -- failures of requests in a row, whatever sync they were of
  failures integer not null default 0,
  opened_at timestamptz,
  open_until timestamptz,
  -- a sync that tries whether the destination is back has it until then
  probe_until timestamptz,
  updated_at timestamptz not null default now()
);

-- A task is open while ended_at is null.
alter table tasks
  drop constraint tasks_status_check,
  add constraint tasks_status_check check (status in
    ('pending', 'running', 'backing_off', 'awaiting_approval', 'succeeded', 'failed', 'cancelled')),
  drop constraint tasks_reason_check,
  add constraint tasks_reason_check check (reason in
    ('scheduled', 'created', 'edited', 'run_now', 'fan_out', 'catch_up', 'backfill', 'resync', 'redrive', 'retry')),
  add constraint tasks_ended check ((status in ('succeeded', 'failed', 'cancelled')) = (ended_at is not null)),
  -- its turn has come: it counts towards the caps from then on
  add column admitted_at timestamptz,
  -- the schedule's slot that a run is for, how late it began to be, and how many slots went by before it
  add column slot_at timestamptz,
  add column late_ms bigint,
  add column missed_slots integer not null default 0,
  -- a step waits without costing an attempt: until when, and for what
  add column waiting_until timestamptz,
  add column waiting_for text check (waiting_for in ('rate_limit', 'circuit')),
  -- guard: who let a run through that would remove many
  add column approved_at timestamptz,
  add column approved_by text,
  -- why it was cancelled
  add column cancelled_because text check (cancelled_because in ('asked', 'discarded', 'superseded', 'obsolete')),
  -- the reconciler found it stuck, and has said so
  add column stuck_at timestamptz;
drop index tasks_one_run;
drop index tasks_one_sync;
drop index tasks_undispatched;
drop index tasks_open;
create unique index tasks_one_run on tasks (computation_id) where kind = 'run' and ended_at is null;
create unique index tasks_one_sync on tasks (connection_id) where kind = 'sync' and ended_at is null;
create index tasks_waiting on tasks (workspace_id, created_at) where ended_at is null and admitted_at is null;
create index tasks_admitted on tasks (space_id, kind) where ended_at is null and admitted_at is not null;
create index tasks_undispatched on tasks (admitted_at) where ended_at is null and dispatched_at is null and admitted_at is not null;
create index tasks_open on tasks (dispatched_at) where ended_at is null;

-- One row for each time that a step was begun: what the history of a task shows. rows_in, rows_out and rejected count rows
-- (profiles) where the step counts any. outcome is null while it runs, or when its worker died and nobody said so yet.
create table step_executions (
  task_id text not null references tasks on delete cascade,
  step text not null,
  execution integer not null,
  attempt integer not null,
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  outcome text check (outcome in ('completed', 'failed', 'interrupted')),
  code text,
  rows_in bigint,
  rows_out bigint,
  rejected bigint,
  primary key (task_id, step, execution)
);

-- What a person needs to find the row again, and what was sent of it: JSON, '' for nothing any more.
alter table rejected_rows
  add column user_id text not null default '',
  add column anonymous_id text not null default '',
  add column value text not null default '',
  -- the sync that sent it again
  add column redriven_by text references tasks on delete set null;
