-- When what keeps everything going was done last, such as the scheduler's beat: by it a silence is noticed. One row for each name.
create table health_marks (
  name text primary key,
  at timestamptz not null,
  details jsonb not null default '{}'
);
-- From now on its silence is counted, so that a start that was just made is not called silent.
insert into health_marks (name, at) values ('scheduler', now());
