-- A cap belongs to a space (runs) or to a destination (syncs). What waits under one is read in its order, without the rest:
-- the first runs of definitions (backfills), which have a cap of their own besides, and all others.
alter table tasks
  -- where a sync sends to; null for a run
  add column destination_id text references destinations on delete cascade;
update tasks t set destination_id = n.destination_id from connections n where n.id = t.connection_id;
drop index tasks_waiting;
create index tasks_waiting_backfills on tasks (coalesce(destination_id, space_id), created_at, id)
  where ended_at is null and admitted_at is null and reason in ('created', 'edited', 'backfill');
create index tasks_waiting_others on tasks (coalesce(destination_id, space_id), created_at, id)
  where ended_at is null and admitted_at is null and reason not in ('created', 'edited', 'backfill');

-- Which tasks are held back: read for every admission, and few.
create index computations_paused on computations (id) where paused_at is not null;
