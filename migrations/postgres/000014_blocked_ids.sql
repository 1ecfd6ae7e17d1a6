-- Values that identify nobody, of the spaces that have a list of their own.
create table space_blocked_ids (
  space_id text primary key references spaces on delete cascade,
  "values" text[] not null,
  updated_at timestamptz not null default now()
);

-- The lists as they were when the range was cut, so that whoever loads it again resolves the same people. Null for a range that was
-- cut before there were any.
alter table consumers add column claimed_blocked_ids jsonb;
