-- What of a source's events was taken in another way than they say: counted by the loader, in the transaction in which it
-- moves on, so that each event counts once. space_id is '' for what is true of an event in every space.
create table event_warnings (
  source_id text not null,
  space_id text not null default '',
  code text not null,
  field text not null,
  count bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  last_message_id text not null,
  last_message text not null,
  primary key (source_id, space_id, code, field)
);
