import { RequestError } from '../../errors.ts';
import {
  actionsCore,
  requireDefinition,
  schemaName,
  validateMapping,
  type CoreActionDefinition,
  type CoreField,
  type JsonObject,
} from '../actions-core/actions-core.ts';
import type { ActionDefinition, Definition } from '../catalogue/definitions.ts';
import { toRequestError } from './settings.ts';
import { requireSize } from './size-limits.ts';
import { parseTrigger } from '../catalogue/trigger.ts';

/** What is said of a subscription; what is left away is taken from the definition. */
export interface SubscriptionInput {
  name?: string | undefined;
  /** May be left away where the destination has one action only. */
  action?: string | undefined;
  trigger?: string | undefined;
  /** Laid over the action's defaults; `null` takes a default away. */
  mapping?: JsonObject | undefined;
  enabled?: boolean | undefined;
}

/** A subscription that passed its checks. */
export interface SubscriptionDraft {
  name: string;
  action: string;
  trigger: string;
  mapping: JsonObject;
  enabled: boolean;
}

/** For an action that Segment suggests no trigger for: both kinds of message that Engage sends. */
const FALLBACK_TRIGGER = 'type = "track" or type = "identify"';
const SYNC_MODE_KEY = '__segment_internal_sync_mode';
// Kept in a mapping besides the action's fields: what Segment's own app keeps there.
const INTERNAL_KEY = /^(__segment_internal_\w+|onMappingSave|retlOnMappingSave)$/;
/** What Trailmark sends (see messages.ts), for telling which presets are of any use. */
const SENT_KINDS = [
  { type: 'track', event: 'Audience Entered' },
  { type: 'track', event: 'Audience Exited' },
  { type: 'track', event: 'Trait Computed' },
  { type: 'identify' },
  { type: 'group' },
];

/**
 * Checks subscriptions, and completes them from the definition. Without any given: the presets that match something that
 * Trailmark sends, else the actions whose suggested trigger does, else the only action. Throws a RequestError that names the
 * field, `subscriptions[0].mapping.url` say.
 */
export function checkSubscriptions(
  definition: Definition,
  inputs: readonly SubscriptionInput[] | undefined,
): SubscriptionDraft[] {
  const chosen = inputs === undefined || inputs.length === 0 ? defaultSubscriptions(definition) : inputs;
  return chosen.map((input, position) => checkSubscription(definition, input, `subscriptions[${position}]`));
}

function defaultSubscriptions(definition: Definition): SubscriptionInput[] {
  const ofUse = (trigger: string) => {
    const matches = parseTrigger(trigger, 'trigger');
    return SENT_KINDS.some((event) => matches(event));
  };
  const presets = definition.presets.filter((preset) => ofUse(preset.trigger));
  if (presets.length > 0) return presets;
  const suggested = definition.actions.flatMap(({ key, name, defaultTrigger }) =>
    defaultTrigger !== null && ofUse(defaultTrigger) ? [{ name, action: key, trigger: defaultTrigger }] : [],
  );
  if (suggested.length > 0) return suggested;
  const [only, ...others] = definition.actions;
  if (only !== undefined && others.length === 0) return [{ action: only.key }];
  throw new RequestError(
    'invalid',
    'subscriptions_required',
    `${definition.name} has several actions and suggests none for audiences and traits. Say which, in subscriptions[0].action: ${actionNames(definition)}.`,
    { field: 'subscriptions' },
  );
}

function checkSubscription(definition: Definition, input: SubscriptionInput, path: string): SubscriptionDraft {
  const action = chooseAction(definition, input.action, `${path}.action`);
  const core = requireDefinition(definition.slug).actions[action.key];
  if (core === undefined) throw new Error(`the definition of ${definition.slug} lost its action ${action.key}`);
  const trigger = input.trigger ?? action.defaultTrigger ?? FALLBACK_TRIGGER;
  parseTrigger(trigger, `${path}.trigger`);
  const mapping = completeMapping(core, input.mapping ?? {});
  requireSize(`${path}.mapping`, mapping, 'mapping_invalid');
  checkMapping(`${schemaName(definition.slug)}:${action.key}`, core, mapping, `${path}.mapping`);
  return { name: input.name ?? action.name, action: action.key, trigger, mapping, enabled: input.enabled ?? true };
}

function chooseAction(definition: Definition, key: string | undefined, field: string): ActionDefinition {
  const [only, ...others] = definition.actions;
  if (key === undefined && only !== undefined && others.length === 0) return only;
  const action = definition.actions.find((candidate) => candidate.key === key);
  if (action !== undefined) return action;
  const found = key === undefined ? 'none is given' : `"${key}" is none`;
  throw new RequestError(
    'invalid',
    'action_unknown',
    `${field} is an action of ${definition.name}; ${found}. It has ${actionNames(definition)}.`,
    { field },
  );
}

function actionNames(definition: Definition): string {
  return definition.actions.map((action) => action.key).join(', ');
}

function completeMapping(action: CoreActionDefinition, given: JsonObject): JsonObject {
  // A map, because a key may be any name: __proto__ is no field, and has to get to where that is said.
  const mapping = new Map<string, unknown>();
  for (const [key, field] of Object.entries(action.fields)) {
    if (field.default !== undefined) mapping.set(key, structuredClone(field.default));
  }
  // Many definitions have it off, because Segment streams; a sync is a batch by nature.
  if (action.performBatch !== undefined && action.fields['enable_batching'] !== undefined) {
    mapping.set('enable_batching', true);
  }
  if (action.syncMode !== undefined) mapping.set(SYNC_MODE_KEY, action.syncMode.default);
  for (const [key, value] of Object.entries(given)) {
    if (value === null) mapping.delete(key);
    else mapping.set(key, value);
  }
  return Object.fromEntries(mapping);
}

function checkMapping(schemaKey: string, action: CoreActionDefinition, mapping: JsonObject, path: string): void {
  const problem = (key: string, message: string) =>
    new RequestError('invalid', 'mapping_invalid', `${path}.${key} ${message}`, { field: `${path}.${key}` });
  for (const [key, value] of Object.entries(mapping)) {
    const field = Object.hasOwn(action.fields, key) ? action.fields[key] : undefined;
    if (field === undefined) {
      if (INTERNAL_KEY.test(key)) continue;
      throw problem(key, `is no field of this action; it has ${Object.keys(action.fields).join(', ')}.`);
    }
    if (hasDirective(value)) checkDirectives(key, value, problem);
    else checkLiteral(`${schemaKey}:${key}`, key, field, value, path);
  }
  for (const [key, field] of Object.entries(action.fields)) {
    const value = mapping[key];
    if (field.required === true && (value === undefined || value === '')) {
      throw problem(key, `is required: ${field.description}`);
    }
  }
}

/** A mapping's value that says where in the event to look: `{"@path": "$.userId"}`, at any depth. */
function hasDirective(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]) => key.startsWith('@') || hasDirective(inner));
}

function checkDirectives(key: string, value: unknown, problem: (key: string, message: string) => RequestError): void {
  try {
    validateMapping({ [key]: value });
  } catch (error) {
    const lines = error instanceof Error ? error.message.matchAll(/\/(\S+) (.+\.)$/gm) : [];
    const found = [...lines].map(([, place, message]) => ({ place: place?.replaceAll('/', '.'), message }))[0];
    throw problem(found?.place ?? key, found?.message ?? 'is not a valid mapping.');
  }
}

function checkLiteral(schemaKey: string, key: string, field: CoreField, value: unknown, path: string): void {
  const { required: _, ...optional } = field;
  const core = actionsCore();
  try {
    core.validateSchema({ [key]: structuredClone(value) }, core.fieldsToJsonSchema({ [key]: optional }), { schemaKey });
  } catch (error) {
    throw toRequestError(path, error);
  }
  if (field.format === 'uri' && typeof value === 'string' && !/^https?:\/\/[^/?#]/i.test(value)) {
    const message = `${path}.${key}: an address that begins with http:// or https://.`;
    throw new RequestError('invalid', 'mapping_invalid', message, { field: `${path}.${key}` });
  }
}
