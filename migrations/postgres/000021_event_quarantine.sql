-- Events that could not be loaded, each as the log had it, with why and since when. tries: how often it came here, by a redrive.
create table event_quarantine (
  source_id text not null,
  message_id text not null,
  workspace_id text not null,
  type text not null,
  event json not null,
  code text not null,
  reason text not null,
  tries integer not null default 1,
  received_at timestamptz not null,
  quarantined_at timestamptz not null default now(),
  primary key (source_id, message_id)
);
create index event_quarantine_workspace on event_quarantine (workspace_id, quarantined_at);

-- claimed_tries: how often the claimed range failed for its data. While the loader looks for what it fails for, it cuts ranges of
-- cut_rows at most, up to the place careful_…. undo: numbers of batches and rows that were given to a range that is given up; what
-- ClickHouse has by them is taken out before anything else is loaded.
alter table consumers
  add column claimed_tries integer not null default 0,
  add column cut_rows integer,
  add column careful_xid xid8,
  add column careful_position bigint,
  add column undo jsonb;
