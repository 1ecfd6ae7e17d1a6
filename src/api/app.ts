import { OpenAPIHono } from '@hono/zod-openapi';
import { bodyLimit } from 'hono/body-limit';
import { RequestError } from '../errors.ts';
import { orProblemPage } from './answers/answer-page.ts';
import { authenticate, COOKIES } from './middleware/authenticate.ts';
import { rememberClientAddress } from './middleware/client-address.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { answerError, answerInvalid } from './answers/errors.ts';
import { GuessLimit } from './middleware/guess-limit.ts';
import { segmentMediaTypes } from './middleware/media-type.ts';
import { openApiDocument, registerSecuritySchemes, type OpenApiDocument } from './openapi.ts';
import { rateLimit } from './middleware/rate-limit.ts';
import { requestLog } from './middleware/request-log.ts';
import { readBody } from './middleware/request-body.ts';
import { requireReadableAddress } from './middleware/request-texts.ts';
import { asDocumented, knownMethods, refuseUnknownRoute, RouteTable } from './route-table.ts';
import { registerAccessTokens } from './routes/access-tokens/index.ts';
import { registerAlertChannels } from './routes/alert-channels/index.ts';
import { registerComputations } from './routes/computations/index.ts';
import { registerDestinations } from './routes/destinations/index.ts';
import { registerGetWorkspace } from './routes/get-workspace.ts';
import { registerHealth } from './routes/health.ts';
import { registerListAlerts } from './routes/list-alerts.ts';
import { registerListAuditEvents } from './routes/list-audit-events.ts';
import { registerListEventTypes } from './routes/list-event-types.ts';
import { registerNotificationSettings } from './routes/notification-settings.ts';
import { registerPages, registerPublicPages } from './routes/pages/pages.ts';
import { registerSources } from './routes/sources/index.ts';
import { registerSpaces } from './routes/spaces/index.ts';
import { registerTaskSettings } from './routes/task-settings.ts';
import { registerTaskHistory } from './routes/tasks/history.ts';
import { registerTaskControls } from './routes/tasks/index.ts';
import { registerTracking } from './routes/tracking/tracking.ts';

const MAX_BODY_BYTES = 1_048_576;

// In the document's order. Whatever is registered here is behind authentication.
const ROUTES = [
  registerComputations,
  registerTaskHistory,
  registerTaskControls,
  registerListAuditEvents,
  registerListEventTypes,
  registerListAlerts,
  registerAlertChannels,
  registerNotificationSettings,
  registerTaskSettings,
  registerSpaces,
  registerSources,
  registerDestinations,
  registerAccessTokens,
  registerGetWorkspace,
];

/** The HTTP server's application: the tracking API, Segment's Public API and ours, and the pages. */
export function createApp(deps: ApiDeps): OpenAPIHono<ApiEnv> {
  const app = new OpenAPIHono<ApiEnv>({ defaultHook: answerInvalid });
  app.onError(orProblemPage(answerError(deps.logger)));
  app.use(requestLog(deps.logger));
  app.use(rememberClientAddress(deps.trustedProxies));
  const guesses = new GuessLimit('access tokens and sessions');
  app.use(async (c, next) => {
    c.set('guesses', guesses);
    await next();
  });
  registerSecuritySchemes(app);

  // Has limits and a media type of its own, and is the path of most requests.
  registerTracking(app, deps);

  app.use(requireReadableAddress(COOKIES));
  app.use(segmentMediaTypes());
  registerHealth(app, deps);
  // Made when it is first asked for, and once: by then every route is registered.
  let made: OpenApiDocument | undefined;
  const document = (): OpenApiDocument => (made ??= openApiDocument(app, deps.publicUrl));
  registerPublicPages(app, deps, document);
  registerPages(app, deps);

  // Everything from here on needs to say who it is, also what does not exist.
  const table = new RouteTable(app, document);
  table.closeOpenRoutes();
  app.use(knownMethods(table));
  app.use(authenticate(deps));
  app.use(rateLimit(deps.rateLimit));
  // Only now: a body without a length is read to be counted, and nobody reads a stranger's.
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: refuseBody }));
  app.use(asDocumented(table));
  app.use(readBody(table));
  for (const register of ROUTES) register(app, deps);
  app.notFound(refuseUnknownRoute(table));
  return app;
}

function refuseBody(): never {
  throw new RequestError('too_large', 'body_too_large', `The body is over ${MAX_BODY_BYTES} bytes.`);
}
