import { isDeepStrictEqual } from 'node:util';
import { recordAuditEvent, type AuditEventInput } from '../audit/index.ts';
import { RequestError } from '../errors.ts';
import { jsonText, newId, type Transaction } from '../store/index.ts';
import type { Definition } from './definitions.ts';
import { findSubscriptions, toAuditView, toSubscriptionView, type SubscriptionView } from './rows.ts';
import { checkSubscriptions, type SubscriptionDraft, type SubscriptionInput } from './subscriptions.ts';

type EventBase = Pick<AuditEventInput, 'workspaceId' | 'spaceId' | 'actor'> & {
  resource: { id: string; name: string };
};

/** Writes the subscriptions of a destination that is being made; its own audit event tells of them. */
export async function insertSubscriptions(
  tx: Transaction,
  destinationId: string,
  drafts: readonly SubscriptionDraft[],
): Promise<void> {
  for (const draft of drafts) await insertSubscription(tx, destinationId, newId('subscription'), draft);
}

/**
 * Makes a destination's subscriptions what is given, and records each that was created, changed or deleted. Says whether any was.
 * Throws a RequestError that names the field, also for an id that is none of them.
 */
export async function replaceSubscriptions(
  tx: Transaction,
  event: EventBase,
  definition: Definition,
  inputs: readonly (SubscriptionInput & { id?: string | undefined })[],
): Promise<boolean> {
  const destinationId = event.resource.id;
  const old = new Map((await findSubscriptions(tx, [destinationId])).map((row) => [row.id, toSubscriptionView(row)]));
  for (const [position, { id }] of inputs.entries()) {
    if (id === undefined || old.has(id)) continue;
    const field = `subscriptions[${position}].id`;
    throw new RequestError('invalid', 'subscription_unknown', `${field}: the destination has no subscription ${id}.`, {
      field,
    });
  }
  const kept = inputs.map(({ id, ...input }) => ({ ...definedOf(old.get(id ?? '')), ...definedOf(input) }));
  // None at all is a choice here: the destination then receives nothing.
  const drafts = kept.length === 0 ? [] : checkSubscriptions(definition, kept);
  let changed = false;
  for (const [position, draft] of drafts.entries()) {
    const id = inputs[position]?.id;
    const before = id === undefined ? undefined : old.get(id);
    if (id === undefined || before === undefined) {
      const created = { id: newId('subscription'), ...draft };
      await insertSubscription(tx, destinationId, created.id, draft);
      changed = true;
      await record(tx, event, 'Destination Subscription Created', null, created);
      continue;
    }
    old.delete(id);
    const after = { id, ...draft };
    if (isDeepStrictEqual(before, after)) continue;
    changed = true;
    await tx.query(
      `update subscriptions set name = $2, action = $3, trigger = $4, mapping = $5, enabled = $6 where id = $1`,
      [id, draft.name, draft.action, draft.trigger, jsonText(draft.mapping), draft.enabled],
    );
    await record(tx, event, 'Destination Subscription Modified', before, after);
  }
  for (const gone of old.values()) {
    await tx.query('delete from subscriptions where id = $1', [gone.id]);
    await record(tx, event, 'Destination Subscription Deleted', gone, null);
  }
  return changed || old.size > 0;
}

/** What is given of an object: `undefined` says nothing, and must not hide what was there. */
function definedOf(value: object | undefined): SubscriptionInput {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([key, own]) => own !== undefined && key !== 'id'));
}

async function insertSubscription(
  tx: Transaction,
  destinationId: string,
  id: string,
  draft: SubscriptionDraft,
): Promise<void> {
  await tx.query(
    `insert into subscriptions (id, destination_id, name, action, trigger, mapping, enabled, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())`,
    [id, destinationId, draft.name, draft.action, draft.trigger, jsonText(draft.mapping), draft.enabled],
  );
}

async function record(
  tx: Transaction,
  event: EventBase,
  type: AuditEventInput['type'],
  before: SubscriptionView | null,
  after: SubscriptionView | null,
): Promise<void> {
  const shown = after ?? before;
  if (shown === null) return;
  await recordAuditEvent(tx, {
    workspaceId: event.workspaceId,
    spaceId: event.spaceId ?? null,
    actor: event.actor,
    type,
    resource: { type: 'subscription', id: shown.id, name: shown.name },
    details: { destinationId: event.resource.id, destinationName: event.resource.name },
    before: before === null ? null : toAuditView(before),
    after: after === null ? null : toAuditView(after),
  });
}
