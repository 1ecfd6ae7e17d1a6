-- Which tasks are held back: read for every admission, and few.
create index computations_paused on computations (id) where paused_at is not null;
