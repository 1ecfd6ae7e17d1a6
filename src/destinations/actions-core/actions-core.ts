/**
 * The bridge to Segment's own destinations: the one file that loads Segment's packages for them. They are CommonJS, and their
 * declarations are full of `any`: what Trailmark uses of them is typed here, and nothing else gets out.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { RefreshError } from './classify.ts';
import { guardFetch, type FetchModule } from './guard-fetch.ts';

const require = createRequire(import.meta.url);

export type JsonObject = { [key: string]: unknown };

/** A field of a destination's settings, of an audience's settings, or of an action. */
export interface CoreField {
  label: string;
  description: string;
  type: 'string' | 'text' | 'number' | 'integer' | 'datetime' | 'boolean' | 'password' | 'object';
  /** `true`, or conditions on other fields, which only the schema knows to check. */
  required?: boolean | object;
  multiple?: boolean;
  default?: unknown;
  choices?: (string | { value: string | number; label: string })[];
  minimum?: number;
  maximum?: number;
  format?: string;
  properties?: object;
  additionalProperties?: boolean;
}

export interface CoreActionDefinition {
  title: string;
  description: string;
  defaultSubscription?: string;
  hidden?: boolean;
  fields: Record<string, CoreField>;
  performBatch?: PerformBatch;
  syncMode?: { default: string; choices: { value: string }[] };
}

interface CorePreset {
  type: 'automatic' | 'specificEvent';
  name?: string;
  partnerAction: string;
  subscribe?: string;
  mapping?: JsonObject;
}

/** What an action's performBatch is given, so far as Trailmark looks at it. */
export interface CoreBatch {
  /** What the mapping made of each event. */
  payload: JsonObject[];
  rawData: readonly object[];
  audienceMembership: (boolean | undefined)[];
  syncMode?: string;
  statsContext?: unknown;
}

/** Answers with one response for all events, or with a MultiStatusResponse that has one for each. */
export type PerformBatch = (request: CoreRequest, batch: CoreBatch) => Promise<unknown>;

/** The request client of actions-core. It throws for an answer that is no 2xx, and at once for options that can't be right. */
export type CoreRequest = (url: string, options?: CoreRequestOptions) => Promise<unknown>;

interface CoreRequestOptions {
  headers?: unknown;
  /** Goes out as JSON. */
  json?: unknown;
  body?: string | Buffer;
}

export interface CoreDefinition {
  name: string;
  slug?: string;
  description?: string;
  mode: string;
  authentication?: {
    scheme: string;
    fields: Record<string, CoreField>;
    refreshAccessToken?: (request: CoreRequest, input: unknown) => Promise<unknown>;
  };
  audienceFields?: Record<string, CoreField>;
  audienceConfig?: { mode: { type: string; full_audience_sync?: boolean }; createAudience?: unknown };
  actions: Record<string, CoreActionDefinition>;
  presets?: CorePreset[];
  /** What it adds to every request of its own. */
  extendRequest?: (data: unknown) => JsonObject;
}

/** What became of one event of a batch; without `errormessage` also what the whole request was answered with. */
export interface CoreEventResult {
  status: number;
  errormessage?: string;
  errortype?: string;
  body?: unknown;
}

interface CoreResult {
  output?: unknown;
  multistatus?: (CoreEventResult | undefined)[];
}

/** What one subscription of Trailmark's is to actions-core. */
export interface CoreSubscription {
  partnerAction: string;
  subscribe: string;
  mapping: JsonObject;
}

export interface OauthTokens {
  accessToken: string;
  refreshToken?: string;
}

export interface CoreDestination {
  onBatch(events: readonly object[], settings: JsonObject, options: CoreEventOptions): Promise<CoreResult[]>;
  onEvent(event: object, settings: JsonObject, options: CoreEventOptions): Promise<CoreResult[]>;
  createAudience(input: {
    settings: JsonObject;
    audienceSettings: JsonObject;
    audienceName: string;
    personas: JsonObject;
  }): Promise<{ externalId: string | number }>;
  readonly actions: Record<string, { readonly hasBatchSupport: boolean }>;
  /** Every answer that the destination gave so far. */
  readonly responses: { status: number; headers: { get(name: string): string | null } }[];
}

interface CoreEventOptions {
  signal?: AbortSignal;
  onTokenRefresh?: (tokens: OauthTokens) => Promise<void>;
}

/** JSON Schema, draft 4, made of fields. Opaque: it goes back into validateSchema. */
type CoreSchema = { readonly properties?: Record<string, unknown>; readonly required?: readonly string[] };

interface ActionsCore {
  Headers: new (init?: unknown) => { set(name: string, value: string): void };
  MultiStatusResponse: new () => { getResponseAtIndex(index: number): { value(): CoreEventResult } | undefined };
  /** Whether an event says that its profile is in the audience; undefined where it says nothing of that. */
  resolveAudienceMembership(event: object, syncMode?: string): boolean | undefined;
  Destination: new (definition: CoreDefinition) => CoreDestination;
  fieldsToJsonSchema(fields: Record<string, CoreField>): CoreSchema;
  /** Throws an AggregateAjvError; coerces and completes `value` in place. */
  validateSchema(
    value: JsonObject,
    schema: CoreSchema,
    options?: { schemaKey?: string; throwIfInvalid?: boolean },
  ): boolean;
  transform(mapping: JsonObject, event: object): JsonObject;
}

let loaded: ActionsCore | undefined;

/** Loaded on first use: a process that never talks to a destination (the api, mostly) does not pay for it. */
export function actionsCore(): ActionsCore {
  if (loaded !== undefined) return loaded;
  const core = require('@segment/actions-core') as ActionsCore;
  // Its request client looks fetch up in this module at every request.
  guardFetch(require(join(dirname(require.resolve('@segment/actions-core')), 'fetch.js')) as FetchModule);
  loaded = core;
  return core;
}

/** Segment's parser and matcher of triggers. CommonJS too, and Node cannot see its names from outside. */
export function subscriptionParser(): typeof import('@segment/destination-subscriptions') {
  return require('@segment/destination-subscriptions') as typeof import('@segment/destination-subscriptions');
}

/** Throws an error whose message has a line `/field what is wrong.` for each part of the mapping that is no valid directive. */
export function validateMapping(mapping: JsonObject): void {
  const { default: validate } = require('@segment/actions-core/mapping-kit/validate') as {
    default: (mapping: JsonObject) => void;
  };
  validate(mapping);
}

/** `slug` is a slug of the catalogue, never text from outside: it becomes a part of a path. */
export function requireDefinition(slug: string): CoreDefinition {
  actionsCore();
  const module = require(`@segment/action-destinations/dist/destinations/${slug}`) as { default: CoreDefinition };
  return module.default;
}

/**
 * A destination whose requests end after `timeoutMs` each, unless its definition asks for another time; `actions` take the place of
 * its own of the same names. Make one for each use: it keeps every answer it gets. Its calls have to be made by callCore.
 *
 * Its name is made of the slug, because actions-core builds the ids of its JSON schemas of it, and ajv takes "Webhook Audiences:
 * …" for a URI whose scheme is malformed.
 */
export function createCoreDestination(
  slug: string,
  timeoutMs: number,
  actions: Record<string, CoreActionDefinition> = {},
): CoreDestination {
  const definition = requireDefinition(slug);
  return new (actionsCore().Destination)({
    ...definition,
    name: schemaName(slug),
    actions: { ...definition.actions, ...actions },
    ...(definition.authentication === undefined ? {} : { authentication: markRefresh(definition.authentication) }),
    extendRequest: (data) => ({ timeout: timeoutMs, ...definition.extendRequest?.(data) }),
  });
}

/**
 * Lets an error of renewing tokens be told from one of sending: a 400 there is about the tokens, and not about what was sent. Also
 * keeps what the request itself ended with, because some definitions say "expired" whatever it was.
 */
function markRefresh(authentication: NonNullable<CoreDefinition['authentication']>): typeof authentication {
  const refresh = authentication.refreshAccessToken;
  if (refresh === undefined) return authentication;
  return {
    ...authentication,
    refreshAccessToken: async (request, input) => {
      let requestError: unknown;
      const watched: CoreRequest = async (url, options) => {
        try {
          return await request(url, options);
        } catch (error) {
          requestError = error;
          throw error;
        }
      };
      try {
        return await refresh(Object.assign(watched, request), input);
      } catch (error) {
        throw new RefreshError(error, requestError);
      }
    },
  };
}

/** The name under which a destination's schemas are known to ajv. */
export function schemaName(slug: string): string {
  return `destination-${slug}`;
}
