-- What may hold a secret is encrypted: a subscription's mapping (headers, a hook's address), an audience's settings at a
-- destination, the address of a channel. The programs seal the rows that are there when they start, because the key is theirs;
-- the plain columns are null from then on.
alter table subscriptions
  alter column mapping drop not null,
  add column mapping_box bytea,
  add constraint subscriptions_mapping check ((mapping is null) = (mapping_box is not null));
alter table connections
  alter column audience_settings drop not null,
  alter column audience_settings drop default,
  add column audience_settings_box bytea,
  add constraint connections_audience_settings check ((audience_settings is null) = (audience_settings_box is not null));
alter table channels
  alter column url drop not null,
  add column url_box bytea,
  add constraint channels_url check ((url is null) = (url_box is not null));

-- What the programs do once to the rows of an older version, where SQL alone can't.
create table data_migrations (
  name text primary key,
  done_at timestamptz not null default clock_timestamp()
);
