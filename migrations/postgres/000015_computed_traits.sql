-- Which of the traits that a definition reads (refers_to) were computations when it was written; the others are traits of profiles,
-- whatever is created later under their names. null: not resolved yet, each is what it is when the definition runs.
alter table computations add column computed_traits text[];

-- As the next run would have read them.
update computations c set computed_traits = array(
  select read.trait from unnest(c.refers_to) as read (trait)
  where exists (
    select from computations o where o.space_id = c.space_id and o.key = read.trait and o.deleted_at is null and o.id <> c.id
  )
)
where refers_to <> '{}';
