import { actionsCore, requireDefinition, type JsonObject } from '../actions-core/actions-core.ts';

/** Segment's own where an action has none, so what definitions are written for; and the most for one that says no maximum. */
const BATCH_SIZE = 1_000;

/**
 * How many messages an action takes in one request, by its mapping's `batch_size`, else its own default, and never more than
 * its maximum. 1 where it does not batch, or the mapping has batching off. A default of 0 (the webhook's) says nothing.
 */
export function batchSizeOf(slug: string, actionKey: string, mapping: JsonObject): number {
  const action = requireDefinition(slug).actions[actionKey];
  if (action?.performBatch === undefined || mapping['enable_batching'] === false) return 1;
  const field = action.fields['batch_size'];
  const ownDefault = positive(field?.default);
  const maximum = positive(field?.maximum) ?? Math.max(ownDefault ?? 0, BATCH_SIZE);
  return Math.min(positive(mapping['batch_size']) ?? ownDefault ?? BATCH_SIZE, maximum);
}

function positive(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(value) : value;
  return typeof number === 'number' && number >= 1 ? Math.floor(number) : undefined;
}

/** Whether the mapping has one event a request, so that the action's `perform` is called and not `performBatch`. */
export function sendsSingly(slug: string, actionKey: string, mapping: JsonObject): boolean {
  return requireDefinition(slug).actions[actionKey]?.performBatch === undefined || mapping['enable_batching'] === false;
}

/**
 * Puts events that may share a request together: those whose `batch_keys` map to the same values. An action takes what they
 * have in common (the webhook its URL and headers) from the first event of a batch. Gives the events' positions.
 */
export function groupByBatchKeys(
  slug: string,
  actionKey: string,
  mapping: JsonObject,
  events: readonly { position: number; event: object }[],
): number[][] {
  const keys = mapping['batch_keys'] ?? requireDefinition(slug).actions[actionKey]?.fields['batch_keys']?.default;
  const chosen = Array.isArray(keys) ? keys.filter((key) => typeof key === 'string' && key in mapping) : [];
  const shared = Object.fromEntries(chosen.map((key: string) => [key, mapping[key]]));
  if (!JSON.stringify(shared).includes('"@')) return [events.map(({ position }) => position)];
  const groups = new Map<string, number[]>();
  for (const { position, event } of events) {
    const value = JSON.stringify(actionsCore().transform(shared, event));
    const group = groups.get(value);
    if (group === undefined) groups.set(value, [position]);
    else group.push(position);
  }
  return [...groups.values()];
}
