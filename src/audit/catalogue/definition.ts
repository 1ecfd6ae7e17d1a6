/** The 18 product areas of Segment's Audit Trail page, in its order. */
export type ProductArea =
  | 'Sources'
  | 'Functions'
  | 'Warehouses'
  | 'Destinations'
  | 'Storage'
  | 'Consent Management'
  | 'Tracking Plans'
  | 'Destination Filters'
  | 'Transformations'
  | 'Audiences'
  | 'Computed Traits'
  | 'Engage Warehouse Sources'
  | 'Profiles Sync'
  | 'Spaces'
  | 'Users'
  | 'Journeys'
  | 'Broadcasts'
  | 'Workspace';

/** What the catalogue says of one event type; its canonical name is the key it stands under. */
export interface EventTypeDefinition {
  /** A sentence on when it happens. */
  readonly when: string;
  /** Whether this version of Trailmark records it by itself. What is not emitted can still be appended by other systems. */
  readonly emitted: boolean;
  /** Other names of the same event, in other versions of Segment's pages and APIs: a filter by any of them finds it. */
  readonly aliases?: readonly string[];
}

export type EventTypes = Readonly<Record<string, EventTypeDefinition>>;
