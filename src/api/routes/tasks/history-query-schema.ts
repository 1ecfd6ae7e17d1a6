import { z } from '@hono/zod-openapi';
import type { listTasks } from '../../../tasks/index.ts';
import { paginationQuerySchema, timeQuery } from '../../schemas.ts';
import { taskKindSchema, taskStatusSchema } from './tasks-schema.ts';

/** What a history is asked for, whosever it is. */
export const historyQuerySchema = paginationQuerySchema.extend({
  kind: taskKindSchema.optional(),
  status: taskStatusSchema
    .or(z.literal('open'))
    .optional()
    .openapi({ type: 'string', enum: [...taskStatusSchema.options, 'open'], description: 'open: without an outcome.' }),
  destinationId: z.string().min(1).max(100).optional().describe('Syncs to this destination.'),
  from: timeQuery('Tasks written at or after it.'),
  to: timeQuery('Tasks written before it.'),
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
