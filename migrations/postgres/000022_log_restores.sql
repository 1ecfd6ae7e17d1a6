-- Since when it is known that this database was restored into a server that counts its transactions anew. A row is here until
-- trailmark restore --apply has put it right; meanwhile nothing is loaded.
create table log_restores (
  only_row boolean primary key default true check (only_row),
  noticed_at timestamptz not null default now()
);

-- A part of the names of ranges in ClickHouse: after a restore, transactions get numbers that they had before.
alter table consumers add column epoch integer not null default 0;
