import { AUDIENCES, COMPUTED_TRAITS } from './computations.ts';
import { DESTINATIONS, STORAGE, WAREHOUSES } from './connections.ts';
import type { EventTypeDefinition, EventTypes, ProductArea } from './definition.ts';
import { BROADCASTS, ENGAGE_WAREHOUSE_SOURCES, JOURNEYS, PROFILES_SYNC, SPACES } from './engage.ts';
import { CONSENT_MANAGEMENT, DESTINATION_FILTERS, TRACKING_PLANS, TRANSFORMATIONS } from './governance.ts';
import { FUNCTIONS, SOURCES } from './sources.ts';
import { USERS, WORKSPACE } from './workspace.ts';

const CATALOGUE = {
  Sources: SOURCES,
  Functions: FUNCTIONS,
  Warehouses: WAREHOUSES,
  Destinations: DESTINATIONS,
  Storage: STORAGE,
  'Consent Management': CONSENT_MANAGEMENT,
  'Tracking Plans': TRACKING_PLANS,
  'Destination Filters': DESTINATION_FILTERS,
  Transformations: TRANSFORMATIONS,
  Audiences: AUDIENCES,
  'Computed Traits': COMPUTED_TRAITS,
  'Engage Warehouse Sources': ENGAGE_WAREHOUSE_SOURCES,
  'Profiles Sync': PROFILES_SYNC,
  Spaces: SPACES,
  Users: USERS,
  Journeys: JOURNEYS,
  Broadcasts: BROADCASTS,
  Workspace: WORKSPACE,
} as const satisfies Record<ProductArea, EventTypes>;

type NamesByArea = { [Area in keyof typeof CATALOGUE]: keyof (typeof CATALOGUE)[Area] };

/** The canonical name of an event type: the one that is stored. */
export type AuditEventType = NamesByArea[keyof NamesByArea];

export interface EventType extends EventTypeDefinition {
  readonly name: AuditEventType;
  readonly area: ProductArea;
  readonly aliases: readonly string[];
}

/** Every event type once, in the order of the product areas. The Events filter, `GET /event-types` and the docs come from it. */
export const EVENT_TYPES: readonly EventType[] = Object.entries(CATALOGUE).flatMap(([area, types]) =>
  Object.entries<EventTypeDefinition>(types).map(([name, definition]) => ({
    name: name as AuditEventType,
    area: area as ProductArea,
    when: definition.when,
    emitted: definition.emitted,
    aliases: definition.aliases ?? [],
  })),
);

const NAMES_AND_ALIASES = new Map<string, AuditEventType>(
  EVENT_TYPES.flatMap((type) => [type.name, ...type.aliases].map((name) => [name.toLowerCase(), type.name] as const)),
);

/** The canonical name for a name or an alias, whatever its case; undefined where the catalogue has none. */
export function resolveEventType(nameOrAlias: string): AuditEventType | undefined {
  return NAMES_AND_ALIASES.get(nameOrAlias.trim().toLowerCase());
}
