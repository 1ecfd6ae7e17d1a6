-- What a destination has taken and ClickHouse's baselines do not have yet: changes [first_idx, end_idx) of an extract. Written with
-- the cursor of each batch; put into the baselines in larger blocks, and taken away then.
create table settled_ranges (
  connection_id text not null references connections on delete cascade,
  extract_id bigint not null,
  first_idx integer not null,
  end_idx integer not null check (end_idx > first_idx),
  -- it acknowledged them; or took a part of each only, and nobody knows what it makes of that
  whole boolean not null,
  created_at timestamptz not null default now(),
  primary key (connection_id, extract_id, first_idx)
);
