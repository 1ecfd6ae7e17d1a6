import { z } from '@hono/zod-openapi';
import type { Principal } from '../../../access/index.ts';
import { listSourceDetails, type SourceRow } from '../../../pipeline/index.ts';
import type { Queryable } from '../../../store/index.ts';
import type { ApiDeps } from '../../deps.ts';
import { idParam } from '../../schemas.ts';

/** Segment's SDK may send settings; the one kind of source there is has none. */
export const noSettingsSchema = z
  .strictObject({}, 'This kind of source has no settings: leave them away, or send {}.')
  .optional()
  .describe('Empty: this kind of source has none.');

export const sourceParamsSchema = z.object({ sourceId: idParam('sourceId', 'src_01h455vb4pex5vsknk084sn02q') });

/** The one kind of source there is. */
export const HTTP_API = 'http-api';

/** SourceV1 of Segment's Public API, and after labels what Trailmark adds. */
export const sourceSchema = z
  .object({
    id: z.string(),
    slug: z.string(),
    name: z.string(),
    workspaceId: z.string(),
    enabled: z.boolean(),
    writeKeys: z
      .array(z.string())
      .describe('Those that let events in. For owners, and once for whoever creates the source; empty for others.'),
    metadata: z.object({
      id: z.string(),
      slug: z.string(),
      name: z.string(),
      description: z.string(),
      logos: z.object({ default: z.string() }),
      options: z.array(z.string()),
      categories: z.array(z.string()),
      isCloudEventSource: z.boolean(),
    }),
    labels: z.array(z.object({ key: z.string(), value: z.string() })),
    spaceIds: z.array(z.string()).describe('The spaces whose profiles its events go into.'),
  })
  .openapi('Source');

type SourceResponse = z.infer<typeof sourceSchema>;

/** Sources as this principal may see them, in the same order. */
export async function readSourceResponses(
  db: Queryable,
  { secretBox }: Pick<ApiDeps, 'secretBox'>,
  { workspaceId, role }: Principal,
  sources: SourceRow[],
): Promise<SourceResponse[]> {
  const details = await listSourceDetails(db, role === 'workspace_owner' ? secretBox : null, {
    workspaceId,
    sourceIds: sources.map((source) => source.id),
  });
  return sources.map((source) => {
    const { writeKeys, spaceIds } = details.get(source.id) ?? { writeKeys: [], spaceIds: [] };
    return toSourceResponse(source, writeKeys, spaceIds);
  });
}

/** One source as this principal may see it. */
export async function readSourceResponse(
  db: Queryable,
  deps: Pick<ApiDeps, 'secretBox'>,
  principal: Principal,
  source: SourceRow,
): Promise<SourceResponse> {
  const [response] = await readSourceResponses(db, deps, principal, [source]);
  return response ?? toSourceResponse(source, [], []);
}

export function toSourceResponse(source: SourceRow, writeKeys: string[], spaceIds: string[]): SourceResponse {
  return {
    id: source.id,
    slug: source.slug,
    name: source.name,
    workspaceId: source.workspace_id,
    enabled: source.enabled,
    writeKeys,
    metadata: {
      id: HTTP_API,
      slug: HTTP_API,
      name: 'HTTP API',
      description: "Segment's tracking API, /v1/track and so on.",
      logos: { default: '' },
      options: [],
      categories: ['Server'],
      isCloudEventSource: false,
    },
    labels: [],
    spaceIds,
  };
}
