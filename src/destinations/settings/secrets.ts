import {
  createRedactor,
  findAddresses,
  findSecrets,
  MASK,
  showSecrets,
  type FieldMarks,
  type Redact,
} from '../../security/index.ts';
import type { JsonObject } from '../actions-core/actions-core.ts';
import { getDefinition, type Definition, type Field } from '../catalogue/definitions.ts';
import type { OpenDestination } from '../opened-destination.ts';

/** Tokens of a destination that is authenticated to by OAuth, under the names that actions-core reads. */
export const OAUTH_KEY = 'oauth';

/** Settings of one kind, with what their definition says of them: of a destination, of an audience there, or of an action. */
export interface MarkedValues {
  values: JsonObject;
  fields: readonly Field[];
  /** Whether a field that the definition does not know, or no more, is taken for a secret. */
  unknownIsSecret: boolean;
}

export function settingsOf(definition: Definition, values: JsonObject): MarkedValues {
  return { values, fields: definition.settings, unknownIsSecret: true };
}

export function audienceSettingsOf(definition: Definition, values: JsonObject): MarkedValues {
  return { values, fields: definition.audiences?.settings ?? [], unknownIsSecret: false };
}

export function mappingOf(definition: Definition, subscription: { action: string; mapping: JsonObject }): MarkedValues {
  const action = definition.actions.find(({ key }) => key === subscription.action);
  return { values: subscription.mapping, fields: action?.fields ?? [], unknownIsSecret: false };
}

/** Settings or a mapping as people may see them: every secret that is set reads as MASK. */
export function showMarked(marked: MarkedValues): JsonObject {
  const { [OAUTH_KEY]: oauth, ...values } = marked.values;
  const shown = showSecrets(values, marksOf(marked));
  return oauth === undefined ? shown : { ...shown, [OAUTH_KEY]: marked.unknownIsSecret ? MASK : oauth };
}

/** The secrets in settings or a mapping, with their places: `headers.Authorization`. */
export function secretsIn(marked: MarkedValues): { path: string; value: string }[] {
  const { [OAUTH_KEY]: oauth, ...values } = marked.values;
  const tokens = typeof oauth === 'object' && oauth !== null ? Object.entries(oauth) : [];
  return [
    ...findSecrets(values, marksOf(marked)),
    ...tokens.flatMap(([name, value]) => (typeof value === 'string' ? [{ path: `${OAUTH_KEY}.${name}`, value }] : [])),
  ];
}

/** Where settings or a mapping send to, by the paths of the fields that say it. */
export function addressesIn({ values, fields, unknownIsSecret }: MarkedValues): Map<string, string> {
  // A mapping's text is sent; that of a setting may be a part of the host's name.
  const free = new Set(
    fields.filter(({ type, choices, secret }) => type === 'string' && choices === undefined && !secret).map(keyOf),
  );
  return findAddresses(values, (name) => unknownIsSecret && free.has(name));
}

function marksOf({ fields, unknownIsSecret }: MarkedValues): FieldMarks {
  const byKey = new Map(fields.map((field) => [field.key, field]));
  return (name) => {
    const field = byKey.get(name);
    if (field === undefined) return unknownIsSecret ? { secret: true } : undefined;
    const known = [...(field.choices ?? []).map(({ value }) => value), field.default];
    return { secret: field.secret, known: known.filter((value) => typeof value === 'string' && value !== '') };
  };
}

function keyOf({ key }: Field): string {
  return key;
}

const redactors = new WeakMap<OpenDestination, Redact>();

/**
 * What takes the secrets of a destination out of a text from outside: those of its settings and of all its mappings, and those
 * of `alsoSecret`.
 */
export function redactorOf(destination: OpenDestination): Redact {
  const known = redactors.get(destination);
  if (known !== undefined) return known;
  const redact = createRedactor(secretsOf(destination));
  redactors.set(destination, redact);
  return redact;
}

/** The secrets themselves, of settings, mappings and `alsoSecret`. */
export function secretsOf(
  destination: Pick<OpenDestination, 'slug' | 'settings' | 'alsoSecret'> & {
    subscriptions: readonly { action: string; mapping: JsonObject }[];
  },
): string[] {
  const definition = getDefinition(destination.slug);
  return [
    ...secretsIn(settingsOf(definition, destination.settings)),
    ...destination.subscriptions.flatMap((subscription) => secretsIn(mappingOf(definition, subscription))),
  ]
    .map(({ value }) => value)
    .concat(destination.alsoSecret ?? []);
}
