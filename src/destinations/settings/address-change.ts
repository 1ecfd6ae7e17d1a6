import { isDeepStrictEqual } from 'node:util';
import { RequestError } from '../../errors.ts';
import { isAddressName, isUrl } from '../../security/index.ts';
import type { JsonObject } from '../actions-core/actions-core.ts';
import { addressesIn, secretsIn, type MarkedValues } from './secrets.ts';

/** Settings, or one subscription's mapping, as they were and as they are to be. */
export interface ChangedValues {
  /** Where they are in what was given: `settings`, `subscriptions[0].mapping`. */
  path: string;
  /** What was given for them; undefined where nothing was said of them. */
  given: JsonObject | undefined;
  /** Null for what is new. */
  before: MarkedValues | null;
  /** Null for what is taken away. */
  after: MarkedValues | null;
  /** Whether they mean something else now whatever is in them, as the mapping of another action does. */
  moved?: boolean;
}

/**
 * Refuses a change that would send a secret to another address than the one it was entered for: whoever changes an address enters
 * the secrets again that would go there. The first of `parts` are the settings that all the others are used with. Throws a
 * RequestError that names the first field, and in its data all of them.
 */
export function requireSecrets(parts: readonly ChangedValues[]): void {
  const known = new Set(parts.flatMap(({ before }) => (before === null ? [] : [...addressesIn(before).values()])));
  const changes = parts.map((part) => changedAddresses(part, known));
  const [ofSettings = []] = changes;
  const needed = parts.flatMap((part, at) => {
    // The settings go wherever any mapping says, and a mapping's headers wherever the settings say.
    const moved = at === 0 ? changes.flat() : [...ofSettings, ...(changes[at] ?? [])];
    return moved.length === 0 ? [] : keptSecrets(part);
  });
  refuse(changes.flat(), needed, needed[0]);
}

/**
 * The same where what changes is the settings of an audience at the destination: `audience` are those, and `parts` the destination's
 * own settings and mappings, which stay as they are and go wherever the audience's settings say. Most destinations read no
 * address in an audience's settings; those do that have a field for one, or whose settings or mappings take one from there. What is
 * refused names the field `secrets`, and in its data those that have to be in it.
 */
export function requireDestinationSecrets(audience: ChangedValues, parts: readonly ChangedValues[]): void {
  const { path, before, after } = audience;
  if (after === null) return;
  const read = parts.some((part) => part.after !== null && takesFromAudience(addressesIn(part.after)));
  const old = before?.values ?? {};
  const changed = Object.keys({ ...old, ...after.values })
    .filter((key) => !isDeepStrictEqual(old[key], after.values[key]))
    .filter((key) => read || isAddressField(after, key))
    .map((key) => `${path}.${key}`);
  if (changed.length > 0) refuse(changed, parts.flatMap(keptSecrets), 'secrets');
}

/** Whether one of these addresses is, or may be, made of an audience's settings: of a template in Liquid nobody knows. */
function takesFromAudience(addresses: ReadonlyMap<string, string>): boolean {
  return [...addresses.values()].some((address) => /personas|audience_settings|@liquid/.test(address));
}

/** Whether an audience's setting is an address by its name, and more than a choice among a few. */
function isAddressField({ fields }: MarkedValues, key: string): boolean {
  return isAddressName(key) && fields.some((field) => field.key === key && field.choices === undefined);
}

function refuse(moved: readonly string[], needed: readonly string[], field: string | undefined): void {
  if (needed.length === 0 || field === undefined) return;
  const changed = [...new Set(moved)];
  throw new RequestError(
    'invalid',
    'secrets_required',
    `${changed.join(', ')} says where secrets are sent, and changes: enter the secrets again that were entered for the old address: ${needed.join(', ')}.`,
    { field, data: { fields: needed, changed } },
  );
}

/** The paths of addresses that are new, other ones or gone. What is an address of the destination already is no other one. */
function changedAddresses({ path, before, after, moved }: ChangedValues, known: ReadonlySet<string>): string[] {
  if (after === null) return [];
  const old = before === null ? new Map<string, string>() : addressesIn(before);
  const now = addressesIn(after);
  const changed = [...now].filter(
    ([at, address]) => old.get(at) !== address && (before !== null || !known.has(address)),
  );
  const gone = [...old.keys()].filter((at) => !now.has(at));
  return [...changed.map(([at]) => at), ...gone, ...(moved === true ? [''] : [])].map((at) =>
    at === '' ? path.replace(/mapping$/, 'action') : `${path}.${at}`,
  );
}

/** The paths of secrets that stay as they were without having been given anew. */
function keptSecrets({ path, given, before, after }: ChangedValues): string[] {
  if (before === null || after === null) return [];
  const old = new Map(secretsIn(before).map((secret) => [secret.path, secret.value]));
  return secretsIn(after).flatMap((secret) => {
    // The hidden half of an address goes to that address.
    const kept = old.get(secret.path) === secret.value && !isUrl(secret.value);
    return kept && !says(given, secret.value) ? [`${path}.${secret.path}`] : [];
  });
}

/** Whether a text stands somewhere in what was given: whoever wrote it there knows it. */
function says(given: unknown, text: string): boolean {
  if (typeof given !== 'object' || given === null) return String(given) === text;
  return Object.values(given).some((value) => says(value, text));
}
