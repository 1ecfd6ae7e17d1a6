import { RequestError } from '../../errors.ts';
import {
  actionsCore,
  requireDefinition,
  schemaName,
  type CoreField,
  type JsonObject,
} from '../actions-core/actions-core.ts';
import { keepMasked } from '../../security/index.ts';
import type { Definition, Field } from '../catalogue/definitions.ts';
import { OAUTH_KEY, settingsOf, showMarked } from './secrets.ts';
import { requireSize } from './size-limits.ts';

const OAUTH_FIELDS = ['access_token', 'refresh_token', 'clientId', 'clientSecret', 'refresh_token_url'];

/**
 * Checks a destination's settings by Segment's schema, and gives them as they are to be kept: numbers and booleans that came as
 * text are converted, defaults filled in. Throws a RequestError that names the field, `settings.apiKey` say.
 */
export function checkSettings(definition: Definition, settings: JsonObject): JsonObject {
  requireSize('settings', settings, 'settings_invalid');
  const { [OAUTH_KEY]: oauth, ...own } = settings;
  const core = requireDefinition(definition.slug);
  const schemaKey = `${schemaName(definition.slug)}:settings`;
  const checked = checkFields('settings', schemaKey, core.authentication?.fields ?? {}, own);
  if (oauth === undefined) return checked;
  if (!definition.authentication.startsWith('oauth')) throw unknownField('settings', OAUTH_KEY, definition.settings);
  return { ...checked, [OAUTH_KEY]: checkOauth(oauth) };
}

/** The same for the settings of one audience at the destination, `audienceSettings.…`. */
export function checkAudienceSettings(definition: Definition, settings: JsonObject): JsonObject {
  requireSize('audienceSettings', settings, 'settings_invalid');
  const schemaKey = `${schemaName(definition.slug)}:audience-settings`;
  return checkFields('audienceSettings', schemaKey, requireDefinition(definition.slug).audienceFields ?? {}, settings);
}

/**
 * Checks `values` by the schema of `fields`; what is wrong is named with `path` in front. A value that the schema does not know
 * is refused here, because the schema's own check would drop it without a word.
 */
function checkFields(
  path: string,
  schemaKey: string,
  fields: Record<string, CoreField>,
  values: JsonObject,
): JsonObject {
  for (const key of Object.keys(values)) {
    if (!Object.hasOwn(fields, key)) throw unknownField(path, key, Object.keys(fields));
  }
  const checked = structuredClone(values);
  for (const [key, field] of Object.entries(fields)) {
    if (checked[key] === undefined && field.default !== undefined) checked[key] = structuredClone(field.default);
  }
  try {
    // The key lets ajv compile a schema once; without it, it would keep one more for every check.
    actionsCore().validateSchema(checked, actionsCore().fieldsToJsonSchema(fields), { schemaKey });
  } catch (error) {
    throw toRequestError(path, error);
  }
  return checked;
}

function checkOauth(oauth: unknown): JsonObject {
  if (typeof oauth !== 'object' || oauth === null) throw oauthError();
  for (const [key, value] of Object.entries(oauth)) {
    if (!OAUTH_FIELDS.includes(key) || typeof value !== 'string') throw oauthError();
  }
  return { ...oauth };
}

function oauthError(): RequestError {
  return new RequestError(
    'invalid',
    'settings_invalid',
    `settings.oauth holds text under the names ${OAUTH_FIELDS.join(', ')}, and nothing else.`,
    { field: 'settings.oauth' },
  );
}

function unknownField(path: string, key: string, known: readonly (string | Field)[]): RequestError {
  const names = known.map((field) => (typeof field === 'string' ? field : field.key));
  return new RequestError(
    'invalid',
    'settings_invalid',
    `${path}.${key} is not known to this destination; ${names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`}.`,
    { field: `${path}.${key}` },
  );
}

/** An AggregateAjvError as the RequestError that names its first field and tells of all. */
export function toRequestError(path: string, error: unknown): unknown {
  const problems = schemaProblems(error);
  const [first] = problems;
  if (first === undefined) return error;
  const place = ({ field }: { field: string }) => (field === '' ? path : `${path}.${field}`);
  return new RequestError(
    'invalid',
    'settings_invalid',
    problems.map((problem) => `${place(problem)}: ${problem.message}`).join(' '),
    { field: place(first), cause: error },
  );
}

/** What an AggregateAjvError found wrong, field by field; nothing for any other error. */
function schemaProblems(error: unknown): { field: string; message: string }[] {
  if (!(error instanceof Error) || error.name !== 'AggregateAjvError' || !(Symbol.iterator in error)) return [];
  return [...(error as unknown as Iterable<{ path: string; message: string }>)].map(({ path, message }) => {
    const missing = /missing the required field '([^']+)'/.exec(message)?.[1];
    const field = [path.replace(/^\$\.?/, ''), missing].filter((part) => part !== undefined && part !== '').join('.');
    return { field, message: missing === undefined ? message : 'is required.' };
  });
}

/** Settings as people may see them: every secret that is set reads as MASK. */
export function maskSettings(definition: Definition, settings: JsonObject): JsonObject {
  return showMarked(settingsOf(definition, settings));
}

/**
 * Settings after a change: what is given replaces what was, `null` takes a setting away, MASK (what reading gave for a secret)
 * leaves it as it was. Throws a RequestError that names the field where a mask stands for nothing.
 */
export function mergeSettings(definition: Definition, current: JsonObject, given: JsonObject): JsonObject {
  const merged = new Map(Object.entries(current));
  const kept = keepMasked(given, current, maskSettings(definition, current), 'settings') as JsonObject;
  for (const [key, value] of Object.entries(kept)) {
    if (value === null) merged.delete(key);
    else merged.set(key, value);
  }
  return Object.fromEntries(merged);
}
