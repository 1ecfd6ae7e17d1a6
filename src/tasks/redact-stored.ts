import type { Queryable } from '../store/index.ts';

const CHUNK = 2_000;

/**
 * Takes secrets out of what an older version kept of a destination's answers: the reasons of rejected rows and the details of
 * failed attempts. Returns how many texts it changed.
 */
export async function redactStoredAnswers(
  db: Queryable,
  destinationId: string,
  redact: (text: string) => string,
): Promise<number> {
  const reasons = await redactAll(
    db,
    `select r.task_id, r.idx as number, r.reason as text from rejected_rows r join tasks t on t.id = r.task_id
     where t.destination_id = $1 and (r.task_id, r.idx) > ($2, $3) order by r.task_id, r.idx limit $4`,
    'update rejected_rows set reason = $3 where task_id = $1 and idx = $2',
    { destinationId, redact },
  );
  const details = await redactAll(
    db,
    `select a.task_id, a.attempt as number, a.detail as text from attempts a join tasks t on t.id = a.task_id
     where t.destination_id = $1 and a.detail is not null and (a.task_id, a.attempt) > ($2, $3)
     order by a.task_id, a.attempt limit $4`,
    'update attempts set detail = $3 where task_id = $1 and attempt = $2',
    { destinationId, redact },
  );
  return reasons + details;
}

async function redactAll(
  db: Queryable,
  select: string,
  update: string,
  { destinationId, redact }: { destinationId: string; redact: (text: string) => string },
): Promise<number> {
  let changed = 0;
  for (let edge: [string, number] = ['', -1]; ;) {
    const { rows } = await db.query<{ task_id: string; number: number; text: string }>(select, [
      destinationId,
      ...edge,
      CHUNK,
    ]);
    for (const { task_id: taskId, number, text } of rows) {
      const redacted = redact(text);
      if (redacted === text) continue;
      await db.query(update, [taskId, number, redacted]);
      changed += 1;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < CHUNK) return changed;
    edge = [last.task_id, last.number];
  }
}
