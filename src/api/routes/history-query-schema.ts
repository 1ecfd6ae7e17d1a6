import { z } from '@hono/zod-openapi';
import type { listTasks } from '../../tasks/index.ts';
import { paginationQuerySchema } from '../schemas.ts';
import { taskKindSchema, taskStatusSchema } from './tasks-schema.ts';

const TIME = 'A time in ISO 8601, such as 2026-01-31T12:00:00Z.';
const timeQuery = z.iso.datetime({ offset: true, error: TIME }).or(z.iso.date(TIME)).optional();

/** What a history is asked for, whosever it is. */
export const historyQuerySchema = paginationQuerySchema.extend({
  kind: taskKindSchema.optional(),
  status: taskStatusSchema
    .or(z.literal('open'))
    .optional()
    .openapi({ type: 'string', enum: [...taskStatusSchema.options, 'open'], description: 'open: without an outcome.' }),
  destinationId: z.string().min(1).max(100).optional().describe('Syncs to this destination.'),
  from: timeQuery.openapi({ type: 'string', description: 'Tasks written at or after it.' }),
  to: timeQuery.openapi({ type: 'string', description: 'Tasks written before it.' }),
});

type TaskFilters = Omit<Parameters<typeof listTasks>[1], 'workspaceId'>;

/** The query string as listTasks takes it. */
export function toTaskFilters(query: z.infer<typeof historyQuerySchema>): TaskFilters {
  const { 'pagination[cursor]': cursor, 'pagination[count]': count, from, to, ...filters } = query;
  return {
    ...filters,
    cursor,
    count,
    from: from === undefined ? undefined : new Date(from),
    to: to === undefined ? undefined : new Date(to),
  };
}
