import type { JsonObject } from './actions-core/actions-core.ts';

export interface OpenSubscription {
  id: string;
  action: string;
  trigger: string;
  mapping: JsonObject;
}

/** A destination with its settings decrypted, for sending to it. Never shown, never logged. */
export interface OpenDestination {
  id: string;
  workspaceId: string;
  slug: string;
  name: string;
  settings: JsonObject;
  /** Those that are switched on. */
  subscriptions: OpenSubscription[];
  /** What an answer may repeat besides the secrets of the settings and mappings: those of the audience's settings there. */
  alsoSecret?: readonly string[];
}
