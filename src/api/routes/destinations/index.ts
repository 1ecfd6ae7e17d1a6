import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from '../../deps.ts';
import { registerCreateDestination } from './create-destination.ts';
import { registerDeleteDestination } from './delete-destination.ts';
import { registerGetCatalogEntry } from './get-catalog-entry.ts';
import { registerGetDestination } from './get-destination.ts';
import { registerListCatalog } from './list-catalog.ts';
import { registerListDestinations } from './list-destinations.ts';
import { registerUpdateDestination } from './update-destination.ts';

export function registerDestinations(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  registerListCatalog(app);
  registerGetCatalogEntry(app);
  registerListDestinations(app, deps);
  registerCreateDestination(app, deps);
  registerGetDestination(app, deps);
  registerUpdateDestination(app, deps);
  registerDeleteDestination(app, deps);
}
