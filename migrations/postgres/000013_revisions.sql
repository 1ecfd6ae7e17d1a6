-- What a sync sends under has a number that grows with each change that a person makes to it: its settings, its subscriptions,
-- and whether it is on. A sync that was opened under another number stops before its next request. See decision 11.
alter table destinations add column revision bigint not null default 1;
alter table connections add column revision bigint not null default 1;
