import type { OpenAPIHono } from '@hono/zod-openapi';
import type { RequestErrorKind } from '../errors.ts';
import type { ApiEnv } from './deps.ts';
import { statusOf } from './answers/errors.ts';
import { REFUSALS } from './schemas.ts';

export type OpenApiDocument = ReturnType<OpenAPIHono<ApiEnv>['getOpenAPI31Document']>;

// What every route behind authentication can answer.
const ALWAYS = ['invalid', 'unauthenticated', 'forbidden', 'rate_limited', 'unavailable'] as const;

const DESCRIPTION = `The API of Trailmark: audiences, computed traits, their runs and syncs, and the audit trail that says the truth about them.

Paths and shapes are those of Segment's Public API where it has them, so its SDKs work when they are pointed here. An answer is \`{"data": …}\`, a refusal \`{"errors": [{"type", "message", "field", "data", "status"}]}\` with a stable \`type\`. Whoever sends or asks for \`application/vnd.segment.v1+json\` (or v1beta, v1alpha) and not for plain JSON gets it. Lists take \`pagination[cursor]\` and \`pagination[count]\`. Every answer has \`X-Request-Id\`, and behind authentication \`X-RateLimit-Limit\`, \`X-RateLimit-Remaining\` and \`X-RateLimit-Reset\` (seconds). A path that does not take a method answers 405 with \`Allow\`, and OPTIONS says what it takes; a parameter that a route does not have is refused.`;

const TAGS = [
  { name: 'Audiences', description: 'Sets of profiles or accounts, by a definition, on a schedule.' },
  { name: 'Computed traits', description: 'A value for each profile or account, by a definition, on a schedule.' },
  { name: 'Tasks', description: 'Runs and syncs, with their attempts and steps.' },
  { name: 'Audit trail', description: 'Who did what to which resource, when, with what outcome.' },
  { name: 'Alerts', description: 'Messages to people about audit events, and where they go.' },
  { name: 'Settings', description: 'Reduced notifications; when a computation is disabled by itself.' },
  { name: 'Spaces', description: 'Sets of profiles and computations.' },
  { name: 'Sources', description: 'Where events come in, and the write keys that let them in.' },
  { name: 'Destinations', description: 'Tools that computations are sent to.' },
  { name: 'Tracking', description: "Segment's tracking API: events come in here." },
  { name: 'Access tokens', description: 'How programs sign in.' },
  { name: 'Workspace', description: 'The tenant.' },
  { name: 'Health', description: 'For load balancers.' },
];

/** The document of every route that was registered. */
export function openApiDocument(app: OpenAPIHono<ApiEnv>, publicUrl: string): OpenApiDocument {
  const document = app.getOpenAPI31Document(
    {
      openapi: '3.1.0',
      info: { title: 'Trailmark', version: '1', description: DESCRIPTION, license: { name: 'Apache-2.0' } },
      servers: [{ url: publicUrl }],
      tags: TAGS,
    },
    { sortComponents: 'alphabetically' },
  );
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(item as Record<string, DocumentedOperation>)) {
      if (JSON.stringify(operation.security ?? []).includes('accessToken')) completeAnswers(path, method, operation);
    }
  }
  return document;
}

interface DocumentedOperation {
  security?: unknown[];
  requestBody?: unknown;
  responses: Record<string, unknown>;
}

/**
 * Adds the refusals that come of what a route is and not of what it does, so that no route has to name them: every one is behind
 * authentication and limits, a path with an id may name what is not there, and a body may be too large or of another type.
 */
function completeAnswers(path: string, method: string, operation: DocumentedOperation): void {
  const kinds: RequestErrorKind[] = [
    ...ALWAYS,
    ...(path.includes('{') ? (['not_found'] as const) : []),
    ...(method === 'get' ? [] : (['too_large'] as const)),
    ...(operation.requestBody === undefined ? [] : (['unsupported_media_type'] as const)),
  ];
  for (const kind of kinds) operation.responses[statusOf(kind)] ??= refusalOf(kind);
}

function refusalOf(kind: RequestErrorKind): unknown {
  return {
    description: REFUSALS[kind],
    content: { 'application/json': { schema: { $ref: '#/components/schemas/RequestErrorEnvelope' } } },
  };
}

/** Declares how requests are authenticated. Call it once, before the document is made. */
export function registerSecuritySchemes(app: OpenAPIHono<ApiEnv>): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'accessToken', {
    type: 'http',
    scheme: 'bearer',
    description: 'An access token, `Authorization: Bearer tm_token_…`.',
  });
  app.openAPIRegistry.registerComponent('securitySchemes', 'session', {
    type: 'apiKey',
    in: 'cookie',
    name: 'trailmark_session',
    description: "The pages' session. What changes something must come from a page of this server.",
  });
  app.openAPIRegistry.registerComponent('securitySchemes', 'writeKey', {
    type: 'http',
    scheme: 'basic',
    description: "A source's write key as the user name, with an empty password.",
  });
}
