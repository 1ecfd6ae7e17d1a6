import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { exportRejectedRows, type RejectedRow } from '../../../../tasks/index.ts';
import { csvStream } from '../../../answers/csv.ts';
import type { ApiDeps, ApiEnv } from '../../../deps.ts';
import { answers, SIGNED_IN } from '../../../schemas.ts';
import { taskParamsSchema } from './rejected-rows-schema.ts';

const route = createRoute({
  method: 'get',
  path: '/tasks/{taskId}/rejected-rows.csv',
  operationId: 'exportRejectedRows',
  tags: ['Tasks'],
  summary: 'Export the rejected rows of a sync as CSV',
  description:
    'All of them, as a file of RFC 4180 in UTF-8. Where a spreadsheet would take a part of a cell for a formula, at its beginning or behind a semicolon, tab, bar or line end, an apostrophe stands in front. The export is an audit event.',
  security: SIGNED_IN,
  request: { params: taskParamsSchema },
  responses: answers(
    { 200: { description: 'The file.', content: { 'text/csv': { schema: z.string() } } } },
    'not_found',
  ),
});

const HEADER = ['user_id', 'anonymous_id', 'value', 'status', 'reason', 'rejected_at', 'redriven_by', 'profile', 'idx'];

export function registerExportRejectedRows(app: OpenAPIHono<ApiEnv>, { pool }: ApiDeps): void {
  app.openapi(route, async (c) => {
    const { workspaceId, actor } = c.get('principal');
    const { taskId } = c.req.valid('param');
    const { computationKey, batches } = await exportRejectedRows(pool, actor, { workspaceId, taskId });
    return c.body(csvStream(HEADER, toRecords(batches)), 200, {
      'content-type': 'text/csv; charset=utf-8; header=present',
      // Keys and ids are lower snake case: nothing in them needs quoting.
      'content-disposition': `attachment; filename="rejected-rows-${computationKey}-${taskId}.csv"`,
      'x-content-type-options': 'nosniff',
    });
  });
}

async function* toRecords(batches: AsyncIterable<RejectedRow[]>): AsyncGenerator<(string | number | null)[][]> {
  for await (const rows of batches) {
    yield rows.map((row) => [
      row.userId,
      row.anonymousId,
      row.value,
      row.status,
      row.reason,
      row.rejectedAt.toISOString(),
      row.redrivenBy,
      row.profile,
      row.idx,
    ]);
  }
}
