import { RequestError } from '../errors.ts';

const SLUG_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_NAME_LENGTH = 200;

/** A slug is part of addresses. Throws a RequestError that names the field. */
export function checkSlug(slug: string): string {
  if (SLUG_PATTERN.test(slug)) return slug;
  throw new RequestError(
    'invalid',
    'slug_invalid',
    `slug is 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end; "${slug.slice(0, 80)}" is not.`,
    { field: 'slug' },
  );
}

/** A name that people read, trimmed. Throws a RequestError that names the field. */
export function checkName(name: string): string {
  const trimmed = name.trim();
  if (trimmed.length >= 1 && trimmed.length <= MAX_NAME_LENGTH) return trimmed;
  throw new RequestError(
    'invalid',
    'name_invalid',
    `name has 1 to ${MAX_NAME_LENGTH} characters; this one has ${trimmed.length}.`,
    { field: 'name' },
  );
}

export function slugTaken(slug: string): RequestError {
  return new RequestError('conflict', 'slug_taken', `The slug "${slug}" is taken: choose another one.`, {
    field: 'slug',
  });
}
