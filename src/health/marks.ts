import { jsonText, type Queryable } from '../store/index.ts';

/** What leaves a mark when it has done its work: the scheduler's tick, and whoever looks after Temporal's schedules. */
export type MarkName = 'scheduler' | 'schedules_checked' | 'schedules_restored';

/** When something was done last, and what there is to say of it. */
export interface Mark {
  ageSeconds: number;
  details: Record<string, unknown>;
}

/** Says that something was done now. One row for each name: the last time is all that anyone asks for. */
export async function setMark(db: Queryable, name: MarkName, details: Record<string, unknown> = {}): Promise<void> {
  await db.query(
    `insert into health_marks (name, at, details) values ($1, clock_timestamp(), $2)
     on conflict (name) do update set at = excluded.at, details = excluded.details`,
    [name, jsonText(details)],
  );
}

/** Every mark there is, its age by the database's clock. */
export async function readMarks(db: Queryable): Promise<Partial<Record<MarkName, Mark>>> {
  const { rows } = await db.query<{ name: MarkName; age_seconds: number; details: Record<string, unknown> }>(
    'select name, extract(epoch from clock_timestamp() - at)::float8 as age_seconds, details from health_marks',
  );
  return Object.fromEntries(
    rows.map(({ name, age_seconds: ageSeconds, details }) => [name, { ageSeconds, details }]),
  ) as Partial<Record<MarkName, Mark>>;
}
