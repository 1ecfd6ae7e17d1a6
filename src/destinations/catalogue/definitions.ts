import { RequestError } from '../../errors.ts';
import { isSecretName } from '../../security/index.ts';
import {
  requireDefinition,
  type CoreDefinition,
  type CoreField,
  type JsonObject,
} from '../actions-core/actions-core.ts';
import { CATALOGUE } from './catalogue.ts';

/** What a destination, an audience or an action wants to be told. */
export interface Field {
  key: string;
  label: string;
  description: string;
  type: CoreField['type'];
  /** Also true where it is required only in some cases; then the check of the whole says so. */
  required: boolean;
  /** Kept secret: masked wherever it is read. */
  secret: boolean;
  multiple: boolean;
  default?: unknown;
  choices?: { value: string | number; label: string }[];
}

/** One thing that a destination can do with an event. */
export interface ActionDefinition {
  key: string;
  name: string;
  description: string;
  fields: Field[];
  /** Whether it takes many events in one request. */
  batches: boolean;
  /** The trigger that Segment suggests for it, null for none. */
  defaultTrigger: string | null;
}

interface Preset {
  name: string;
  action: string;
  trigger: string;
  mapping: JsonObject;
}

/** A kind of destination: what of Segment's definition Trailmark shows and checks. */
export interface Definition {
  slug: string;
  name: string;
  description: string;
  /** How it wants to be authenticated to: custom, basic, oauth2, oauth-managed, or none. */
  authentication: string;
  settings: Field[];
  actions: ActionDefinition[];
  presets: Preset[];
  /** Whether an audience is made at the destination before anything is sent to it (step prepare), and that one's settings. */
  audiences: { created: boolean; settings: Field[] } | null;
}

const definitions = new Map<string, Definition>();

/** Every destination there is, in the order of their slugs. Loads none of them. */
export function listDefinitions(): { slug: string; name: string }[] {
  return [...CATALOGUE].map(([slug, name]) => ({ slug, name }));
}

/**
 * The definition of a destination. Also takes Segment's own slug with its `actions-` in front. The first time it is asked for,
 * it is loaded (a few milliseconds to a quarter of a second). Throws a RequestError that names the field `slug`.
 */
export function getDefinition(slug: string): Definition {
  const known = resolveSlug(slug);
  if (known === null) {
    throw new RequestError(
      'invalid',
      'destination_unknown',
      `There is no destination "${slug}". GET /catalog/destinations lists them; "webhook" sends to any URL.`,
      { field: 'slug' },
    );
  }
  const loaded = definitions.get(known) ?? describe(known, requireDefinition(known));
  definitions.set(known, loaded);
  return loaded;
}

function resolveSlug(slug: string): string | null {
  if (CATALOGUE.has(slug)) return slug;
  const short = slug.replace(/^actions-/, '');
  return CATALOGUE.has(short) ? short : null;
}

function describe(slug: string, core: CoreDefinition): Definition {
  return {
    slug,
    name: core.name,
    description: core.description ?? '',
    authentication: core.authentication?.scheme ?? 'none',
    settings: toFields(core.authentication?.fields),
    actions: Object.entries(core.actions).map(([key, action]) => ({
      key,
      name: action.title,
      description: action.description,
      fields: toFields(action.fields),
      batches: typeof action.performBatch === 'function',
      defaultTrigger: action.defaultSubscription === undefined ? null : tidy(action.defaultSubscription),
    })),
    presets: (core.presets ?? []).flatMap((preset) =>
      // The other kind is for events of Segment's linked audiences and journeys, which Trailmark does not make.
      preset.type === 'automatic' && preset.subscribe !== undefined && core.actions[preset.partnerAction] !== undefined
        ? [
            {
              name: preset.name ?? preset.partnerAction,
              action: preset.partnerAction,
              trigger: tidy(preset.subscribe),
              mapping: preset.mapping ?? {},
            },
          ]
        : [],
    ),
    audiences:
      core.audienceConfig?.mode.type === 'synced'
        ? {
            created: typeof core.audienceConfig.createAudience === 'function',
            settings: toFields(core.audienceFields),
          }
        : null,
  };
}

/** A few definitions write AND, == or a comma in their triggers: Segment's parser passes over what it does not know. */
function tidy(trigger: string): string {
  return trigger.replaceAll(' AND ', ' and ').replaceAll(' == ', ' = ').replaceAll('", ', '" and ');
}

function toFields(fields: Record<string, CoreField> | undefined): Field[] {
  return Object.entries(fields ?? {}).map(([key, field]) => ({
    key,
    label: field.label,
    description: field.description,
    type: field.type,
    required: field.required !== undefined && field.required !== false,
    secret: isSecretField(key, field),
    multiple: field.multiple === true,
    ...(field.default === undefined ? {} : { default: field.default }),
    ...(field.choices === undefined
      ? {}
      : {
          choices: field.choices.map((choice) =>
            typeof choice === 'string' ? { value: choice, label: choice } : choice,
          ),
        }),
  }));
}

/**
 * Whether a field's value is kept secret: it is a password by its type or format, or it has the name of a secret. Many
 * definitions declare their API key as an ordinary string, and some say only in the label what it is.
 */
function isSecretField(key: string, field: CoreField): boolean {
  if (field.type === 'password' || field.format === 'password') return true;
  if (field.type === 'boolean' || field.type === 'datetime' || field.choices !== undefined) return false;
  return isSecretName(key) || (field.type !== 'object' && isShort(field.label) && isSecretName(field.label));
}

/** A longer label is a sentence, and whatever is in it need not be about the value. */
function isShort(label: string): boolean {
  return label.trim().split(/\s+/).length <= 4;
}
