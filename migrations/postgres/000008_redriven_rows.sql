-- A redrive reads its rows by itself, in the order of their profiles; that a task is one is told by there being any.
create index rejected_rows_redriven on rejected_rows (redriven_by, profile) where redriven_by is not null;
-- What runs left that can be retried is kept: the clean-up looks for them.
create index tasks_unsuccessful on tasks (ended_at) where status in ('failed', 'cancelled');
