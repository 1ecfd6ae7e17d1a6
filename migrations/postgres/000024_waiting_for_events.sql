-- A run may wait for the events that came in before it.
alter table tasks drop constraint tasks_waiting_for_check,
  add constraint tasks_waiting_for_check check (waiting_for in ('rate_limit', 'circuit', 'events'));
