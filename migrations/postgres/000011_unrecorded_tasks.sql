-- An open task whose bookkeeping PostgreSQL refuses, for a reason that does not heal: since when, and which call of it. It is tried
-- again for ever, takes no place of others meanwhile, and doctor and the metrics tell of it. Empty again once it goes on.
alter table tasks
  add column unrecorded_at timestamptz,
  add column unrecorded text;

create index tasks_unrecorded on tasks (unrecorded_at) where ended_at is null and unrecorded_at is not null;
