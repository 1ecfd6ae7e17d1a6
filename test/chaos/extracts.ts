import type { PostgresPool } from '../../src/store/index.ts';

/** What a message id begins with: the connection's extract, whose changes a sync delivers. */
export function extractOf(messageId: string): string {
  return messageId.split('-').slice(0, 2).join('-');
}

/** A task that delivers an extract. */
export interface ExtractTask {
  taskId: string;
  deliveredAt: Date | null;
  /** It sends what differs, and not everything or what was rejected again because someone asked for it. */
  differenceOnly: boolean;
}

/** The tasks that deliver each extract: one, and where it was retried from `deliver` the one after it too. */
export async function tasksByExtract(pool: PostgresPool): Promise<Map<string, ExtractTask[]>> {
  const { rows } = await pool.query<ExtractTask & { extract: string }>(
    `select t.connection_id || '-ext' || (e.output ->> 'extractId') as extract, t.id as "taskId",
            d.completed_at as "deliveredAt", coalesce(e.output ->> 'scope', 'difference') = 'difference' as "differenceOnly"
     from tasks t
     join steps e on e.task_id = t.id and e.name = 'extract' and e.completed_at is not null
     join steps d on d.task_id = t.id and d.name = 'deliver'
     order by t.id`,
  );
  const tasks = new Map<string, ExtractTask[]>();
  for (const { extract, ...task } of rows) {
    const known = tasks.get(extract) ?? [];
    tasks.set(extract, known);
    known.push(task);
  }
  return tasks;
}
