import { RequestError } from '../../errors.ts';
import type { JsonObject } from '../actions-core/actions-core.ts';

/** Characters of one text: a key with its chain of certificates has a fifth of that. */
const MAX_TEXT_LENGTH = 16_384;
/** Characters of all of one destination's settings, or of one mapping, as JSON. */
const MAX_LENGTH = 100_000;

/**
 * Refuses settings or a mapping that is larger than any that a tool can want. How long it takes to check them (45 ms for all, in the
 * thread that serves everybody), and to look for secrets in them and in answers, is bounded by it. Throws a RequestError of `code`
 * that names the field.
 */
export function requireSize(path: string, values: JsonObject, code: string): void {
  for (const [key, value] of Object.entries(values)) requireShort(`${path}.${key}`, value, code);
  const { length } = JSON.stringify(values);
  if (length <= MAX_LENGTH) return;
  const message = `${path} has ${length} characters as JSON; it may have ${MAX_LENGTH}.`;
  throw new RequestError('invalid', code, message, { field: path });
}

function requireShort(path: string, value: unknown, code: string): void {
  if (typeof value === 'string' && value.length > MAX_TEXT_LENGTH) {
    const message = `${path} has ${value.length} characters; a text may have ${MAX_TEXT_LENGTH}.`;
    throw new RequestError('invalid', code, message, { field: path });
  }
  if (typeof value !== 'object' || value === null) return;
  const isList = Array.isArray(value);
  for (const [key, item] of Object.entries(value))
    requireShort(isList ? `${path}[${key}]` : `${path}.${key}`, item, code);
}
