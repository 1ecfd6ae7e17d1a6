import { RequestError } from '../../errors.ts';
import { isAddressName, isHarmlessHeader, isHeadersName, isSecretName } from './names.ts';
import { isUrl, looksLikeKey, MASK, maskText, showAddress } from './shapes.ts';

/** What is known of a field besides its name: what its definition says. */
interface FieldMark {
  secret: boolean;
  /** Values that stand in the definition for everybody to read: its default, its choices. */
  known?: readonly unknown[];
}

/** What is known of the fields of an object, by their names; undefined for a field of which nothing is. */
export type FieldMarks = (name: string) => FieldMark | undefined;

/** A secret and where it is: `headers.Authorization`. */
export interface SecretPlace {
  path: string;
  value: string;
}

type Json = { [key: string]: unknown };

/**
 * The one place that decides what of settings and mappings is a secret: what the definition marks, what has the name of one,
 * headers, the path and query of addresses, user and password in one, and what looks like a key wherever it stands. Gives the
 * object as people may see it, each secret as MASK; of an address the rest stays.
 */
export function showSecrets<T extends Json>(values: T, marks: FieldMarks = unmarked): T {
  return walk(values, marks, () => undefined) as T;
}

/** The secrets in settings or a mapping, with their places. */
export function findSecrets(values: Json, marks: FieldMarks = unmarked): SecretPlace[] {
  const found: SecretPlace[] = [];
  walk(values, marks, (path, value) => void found.push({ path, value }));
  return found;
}

/**
 * What was given, with each mask that reading gave put back to the secret it stands for. Throws a RequestError that names the
 * field where a mask stands for nothing: then nobody knows which secret is meant.
 */
export function keepMasked(given: unknown, current: unknown, shown: unknown, path: string): unknown {
  if (typeof given === 'string' && given.includes(MASK)) {
    if (given === shown && given !== current) return current;
    throw new RequestError(
      'invalid',
      'secret_masked',
      `${path} is the mask of a secret, and there is no secret in this place that it could stand for. Enter the secret itself.`,
      { field: path },
    );
  }
  if (typeof given !== 'object' || given === null) return given;
  if (Array.isArray(given)) {
    return given.map((item, at) => keepMasked(item, member(current, at), member(shown, at), `${path}[${at}]`));
  }
  return Object.fromEntries(
    Object.entries(given).map(([key, item]) => [
      key,
      keepMasked(item, member(current, key), member(shown, key), `${path}.${key}`),
    ]),
  );
}

/**
 * What in settings or a mapping says where something is sent, by its path, as JSON. `isFree` says of a field that its text is
 * anybody's, and not one of a few choices: then it is an address too where a host could be written into it.
 */
export function findAddresses(values: Json, isFree: (name: string) => boolean = () => false): Map<string, string> {
  const found = new Map<string, string>();
  const look = (name: string, value: unknown, path: string): void => {
    if (typeof value === 'string') {
      const hasHost = /:\/\/|^\/\//.test(value) || (isFree(name) && /[/\\:?#@.]/.test(value) && !EMAIL.test(value));
      if (isAddressName(name) || hasHost) found.set(path, JSON.stringify(value));
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    if (isAddressName(name)) found.set(path, JSON.stringify(value));
    else for (const [key, item] of Object.entries(value)) look(nameIn(name, key), item, `${path}.${key}`);
  };
  for (const [key, value] of Object.entries(values)) look(key, value, key);
  return found;
}

const EMAIL = /^[^\s@:/?#]{1,64}@[^\s@:/?#]{1,255}\.[^\s@:/?#]{1,63}$/;

// A directive's own words, and places in a list, are no names of anything.
function nameIn(parent: string, key: string): string {
  return key.startsWith('@') || /^\d+$/.test(key) ? parent : key;
}

function member(value: unknown, key: string | number): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string | number, unknown>)[key]
    : undefined;
}

function unmarked(): undefined {
  return undefined;
}

type Found = (path: string, value: string) => void;

function walk(values: Json, marks: FieldMarks, found: Found): Json {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => {
      const mark = marks(key);
      if (mark?.known?.some((known) => known === value) === true) return [key, value];
      const place: Place = { path: key, secret: mark?.secret ?? isSecretName(key), headers: isHeadersName(key) };
      return [key, visit(value, place, found)];
    }),
  );
}

interface Place {
  path: string;
  /** Whatever is in here is a secret. */
  secret: boolean;
  /** What is in here are headers. */
  headers: boolean;
}

function visit(value: unknown, place: Place, found: Found): unknown {
  if (typeof value === 'string') return visitText(value, place, found);
  if (typeof value === 'number' && place.secret) return visitText(String(value), place, found);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((item, at) => visit(item, { ...place, path: `${place.path}[${at}]` }, found));
  }
  const named = nameOfPair(value as Json);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, visit(item, placeOf(key, named, place), found)]),
  );
}

function placeOf(key: string, named: string | null, place: Place): Place {
  const path = `${place.path}.${key}`;
  // Where in an event a value is taken from says nothing of the value.
  if (key === '@path' || key === '@arrayPath') return { path, secret: false, headers: false };
  if (key.startsWith('@')) return { ...place, path };
  if (named !== null) {
    const secret = place.secret || (place.headers ? !isHarmlessHeader(named) : isSecretName(named));
    return { path, secret: secret && /^(?:value|content|text)$/i.test(key), headers: false };
  }
  const secret = place.secret || (place.headers ? !isHarmlessHeader(key) : isSecretName(key));
  return { path, secret, headers: place.headers || isHeadersName(key) };
}

/** Of an object that holds a name and a value, as lists of headers do, the name; else null. */
function nameOfPair(value: Json): string | null {
  const name = value['name'] ?? value['key'] ?? value['header'] ?? value['field'];
  const isPair = typeof name === 'string' && ('value' in value || 'content' in value || 'text' in value);
  return isPair && Object.keys(value).length <= 4 ? name : null;
}

function visitText(text: string, place: Place, found: Found): string {
  if (text === '' || text === MASK || /^\$\.[\w.$[\]'"-]*$/.test(text) || isPlaceholder(text)) return text;
  const shown = place.secret ? MASK : showText(text, place);
  if (shown !== text) found(place.path, text);
  return shown;
}

/** A text that is nothing but a template's placeholder: what it will be is in the event. */
function isPlaceholder(text: string): boolean {
  return /^\{\{\{?[^{}]*\}?\}\}$/.test(text);
}

function showText(text: string, { path, headers }: Pick<Place, 'path' | 'headers'>): string {
  if (isUrl(text) || (isAddress(path) && isWithPath(text))) return showAddress(text);
  const json = parseObject(text);
  if (json !== null) {
    const place = { path: '', secret: false, headers };
    let any = false;
    const shown = visit(json, place, () => void (any = true));
    return any ? JSON.stringify(shown) : text;
  }
  if (looksLikeKey(text)) return MASK;
  // Of a text with a secret in it nothing stays: half of a sentence can't be written back.
  return maskText(text) === text ? text : MASK;
}

/** Whether a field of this path says where something is sent: its value may be an address without a scheme. */
function isAddress(path: string): boolean {
  return path.split('.').some((name) => isAddressName(name));
}

function isWithPath(text: string): boolean {
  return /^[^\s/?#]+[/?#]/.test(text.replaceAll(/\{\{[^{}]*\}\}/g, 'x')) && !/^\s*[[{](?!\{)/.test(text);
}

/** Settings that are text may hold JSON. */
function parseObject(text: string): object | null {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' ? parsed : null;
  } catch {
    return null;
  }
}
