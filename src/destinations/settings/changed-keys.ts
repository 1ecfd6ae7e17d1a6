import type { JsonObject } from '../actions-core/actions-core.ts';

/** The names of what changed: of a secret the trail shows two masks, and says here that it is another one. */
export function changedKeys(before: JsonObject, after: JsonObject): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key])).sort();
}
