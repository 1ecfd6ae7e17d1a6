-- How often the present attempt has gone on after it lost the worker of a step. A step that was lost may come back: it is known by
-- having begun under a smaller number.
alter table tasks add column losses integer not null default 0;
