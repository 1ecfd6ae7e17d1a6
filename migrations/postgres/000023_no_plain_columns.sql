-- What may hold a secret is only ever written encrypted: the columns that once held it in plain are gone, and with them what
-- encrypted their rows at a start. A row that no program ever encrypted makes this fail.
alter table subscriptions drop column mapping, alter column mapping_box set not null;
alter table connections drop column audience_settings, alter column audience_settings_box set not null;
alter table channels drop column url, alter column url_box set not null;
drop table data_migrations;
