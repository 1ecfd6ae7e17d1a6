import { isDeepStrictEqual } from 'node:util';
import { recordAuditEvent, type AuditEventInput } from '../../audit/index.ts';
import { RequestError } from '../../errors.ts';
import { newId, type Transaction } from '../../store/index.ts';
import type { Definition } from '../catalogue/definitions.ts';
import { changedKeys } from './changed-keys.ts';
import type { DestinationDeps } from '../deps.ts';
import { sealMapping, toSubscriptionView, type Subscription } from '../rows.ts';
import { checkSubscriptions, type SubscriptionDraft, type SubscriptionInput } from './subscriptions.ts';
import { keepMasked } from '../../security/index.ts';
import { mappingOf, showMarked } from './secrets.ts';

type Sealing = Pick<DestinationDeps, 'secretBox'>;

/** A subscription as it is to be, with the one that it was; null for a new one. */
export interface SubscriptionChange extends SubscriptionDraft {
  before: Subscription | null;
}

type EventBase = Pick<AuditEventInput, 'workspaceId' | 'spaceId' | 'actor'> & {
  resource: { id: string; name: string };
};

/** Writes the subscriptions of a destination that is being made; its own audit event tells of them. */
export async function insertSubscriptions(
  tx: Transaction,
  deps: Sealing,
  destinationId: string,
  drafts: readonly SubscriptionDraft[],
): Promise<void> {
  for (const draft of drafts) await insertSubscription(tx, deps, destinationId, newId('subscription'), draft);
}

/**
 * What a destination's subscriptions are to be, checked: each with what was given laid over the one whose id it names, and with
 * the masks in its mapping put back to the secrets there were. Throws a RequestError that names the field, also for an id that
 * is none of them.
 */
export function draftSubscriptions(
  definition: Definition,
  old: readonly Subscription[],
  inputs: readonly (SubscriptionInput & { id?: string | undefined })[],
): SubscriptionChange[] {
  const known = new Map(old.map((subscription) => [subscription.id, subscription]));
  for (const [position, { id }] of inputs.entries()) {
    if (id === undefined || known.has(id)) continue;
    const field = `subscriptions[${position}].id`;
    throw new RequestError('invalid', 'subscription_unknown', `${field}: the destination has no subscription ${id}.`, {
      field,
    });
  }
  const befores = inputs.map(({ id }) => known.get(id ?? '') ?? null);
  const kept = inputs.map((input, position) => {
    const before = befores[position] ?? null;
    const shown = before === null ? undefined : showMarked(mappingOf(definition, before));
    const mapping = keepMasked(input.mapping, before?.mapping, shown, `subscriptions[${position}].mapping`);
    return { ...definedOf(before), ...definedOf({ ...input, mapping }) };
  });
  // None at all is a choice here: the destination then receives nothing.
  const drafts = kept.length === 0 ? [] : checkSubscriptions(definition, kept);
  return drafts.map((draft, position) => ({ ...draft, before: befores[position] ?? null }));
}

/**
 * Makes a destination's subscriptions what was drafted, and records each that was created, changed or deleted. Says whether any
 * was.
 */
export async function replaceSubscriptions(
  tx: Transaction,
  deps: Sealing,
  event: EventBase,
  definition: Definition,
  { old, drafts }: { old: readonly Subscription[]; drafts: readonly SubscriptionChange[] },
): Promise<boolean> {
  const destinationId = event.resource.id;
  let changed = false;
  const kept = new Set<string>();
  for (const { before, ...draft } of drafts) {
    if (before === null || kept.has(before.id)) {
      const created = { id: newId('subscription'), ...draft };
      await insertSubscription(tx, deps, destinationId, created.id, draft);
      changed = true;
      await record(tx, event, definition, 'Destination Subscription Created', null, created);
      continue;
    }
    kept.add(before.id);
    const after = { id: before.id, ...draft };
    if (isDeepStrictEqual(before, { ...after, destinationId: before.destinationId })) continue;
    changed = true;
    await tx.query(
      `update subscriptions set name = $2, action = $3, trigger = $4, mapping_box = $5, enabled = $6
       where id = $1`,
      [
        before.id,
        draft.name,
        draft.action,
        draft.trigger,
        sealMapping(deps.secretBox, before.id, draft.mapping),
        draft.enabled,
      ],
    );
    await record(tx, event, definition, 'Destination Subscription Modified', before, after);
  }
  for (const gone of old) {
    if (kept.has(gone.id)) continue;
    changed = true;
    await tx.query('delete from subscriptions where id = $1', [gone.id]);
    await record(tx, event, definition, 'Destination Subscription Deleted', gone, null);
  }
  return changed;
}

/** What is given of an object: `undefined` says nothing, and must not hide what was there. */
function definedOf(value: object | null): SubscriptionInput {
  const own = Object.entries(value ?? {});
  return Object.fromEntries(own.filter(([key, said]) => said !== undefined && key !== 'id' && key !== 'destinationId'));
}

async function insertSubscription(
  tx: Transaction,
  { secretBox }: Sealing,
  destinationId: string,
  id: string,
  draft: SubscriptionDraft,
): Promise<void> {
  await tx.query(
    `insert into subscriptions (id, destination_id, name, action, trigger, mapping_box, enabled, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())`,
    [
      id,
      destinationId,
      draft.name,
      draft.action,
      draft.trigger,
      sealMapping(secretBox, id, draft.mapping),
      draft.enabled,
    ],
  );
}

async function record(
  tx: Transaction,
  event: EventBase,
  definition: Definition,
  type: AuditEventInput['type'],
  before: Omit<Subscription, 'destinationId'> | null,
  after: Omit<Subscription, 'destinationId'> | null,
): Promise<void> {
  const shown = after ?? before;
  if (shown === null) return;
  const changedMapping = before === null || after === null ? null : changedKeys(before.mapping, after.mapping);
  await recordAuditEvent(tx, {
    workspaceId: event.workspaceId,
    spaceId: event.spaceId ?? null,
    actor: event.actor,
    type,
    resource: { type: 'subscription', id: shown.id, name: shown.name },
    details: {
      destinationId: event.resource.id,
      destinationName: event.resource.name,
      ...(changedMapping === null ? {} : { changedMapping }),
    },
    before: before === null ? null : toSubscriptionView(definition, before),
    after: after === null ? null : toSubscriptionView(definition, after),
  });
}
