import type { Queryable } from '../../store/index.ts';

type CircuitState = 'closed' | 'open' | 'half_open';

/**
 * How many destinations of each slug have their circuit in each state; every state of a slug is there, if with 0. Half open is one
 * whose time is over and which nobody has tried with success yet.
 */
export async function countCircuits(db: Queryable): Promise<{ slug: string; state: CircuitState; count: number }[]> {
  const { rows } = await db.query<{ slug: string; state: CircuitState; count: number }>(
    `select d.slug, s.state, count(*) filter (where s.state = case
              when c.opened_at is null then 'closed'
              when c.open_until > clock_timestamp() then 'open'
              else 'half_open' end) as count
     from destinations d
     left join destination_circuits c on c.destination_id = d.id
     cross join (values ('closed'), ('open'), ('half_open')) as s (state)
     where d.deleted_at is null
     group by d.slug, s.state order by d.slug, s.state`,
  );
  return rows;
}
