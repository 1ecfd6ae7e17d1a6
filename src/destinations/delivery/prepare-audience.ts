import { TaskFailure } from '../../errors.ts';
import { createRedactor } from '../../security/index.ts';
import { isStorable } from '../../store/index.ts';
import { createCoreDestination } from '../actions-core/actions-core.ts';
import { callCore } from '../actions-core/call-core.ts';
import { UNCHECKED } from '../catalogue/catalogue.ts';
import { classifyError } from '../actions-core/classify.ts';
import { getDefinition } from '../catalogue/definitions.ts';
import type { PrepareInput } from '../threads/audience-input.ts';
import type { DestinationCallDeps } from '../deps.ts';
import { personas } from './messages.ts';
import { observeCall } from '../actions-core/observe-call.ts';
import type { DeliveryStop, Refusal } from '../actions-core/outcome.ts';
import { audienceSettingsOf, redactorOf, secretsIn, secretsOf } from '../settings/secrets.ts';

/**
 * Makes the audience at a destination that keeps audiences of its own, and gives the id that the destination gave it; null for
 * a destination that needs none. Once there is an id, that is the audience: it is given back without asking, because few
 * destinations can be asked. The audience is named by its key, as Segment names them.
 *
 * Throws a TaskFailure: destination_settings_invalid where the destination refuses to make it; and what `mayGo` is rejected with.
 */
export async function prepareAudience(deps: DestinationCallDeps, input: PrepareInput): Promise<string | null> {
  const { destination, computation, externalAudienceId } = input;
  if (computation.kind !== 'audience' || getDefinition(destination.slug).audiences?.created !== true) return null;
  if (externalAudienceId !== null) return externalAudienceId;
  return await (deps.threads === null ? prepareHere(deps, input) : deps.threads.prepare(input));
}

/** Makes the audience in the thread that calls it. */
export async function prepareHere(deps: DestinationCallDeps, input: PrepareInput): Promise<string> {
  const { destination, computation } = input;
  const definition = getDefinition(destination.slug);
  if (UNCHECKED.has(destination.slug) && !deps.allowPrivateAddresses) {
    throw new TaskFailure('destination_address_refused', `${destination.slug} has a network client of its own`);
  }
  const alsoSecret = secretsIn(audienceSettingsOf(definition, input.audienceSettings)).map(({ value }) => value);
  const opened = { ...destination, alsoSecret };
  const redact = redactorOf(opened);
  const create = async (): Promise<Created> => {
    try {
      const { externalId } = await callCore(
        deps,
        input.signal,
        () =>
          createCoreDestination(destination.slug, deps.requestTimeoutMs).createAudience({
            settings: destination.settings,
            audienceSettings: input.audienceSettings,
            audienceName: computation.key,
            personas: personas(computation, { externalAudienceId: null, audienceSettings: input.audienceSettings }),
          }),
        { workspaceId: destination.workspaceId, mayGo: input.mayGo, ownClient: UNCHECKED.has(destination.slug) },
      );
      return { kind: 'answered', externalId: readExternalId(externalId) };
    } catch (error) {
      const classified = classifyError(error, { signal: input.signal, redact });
      return classified.kind === 'refused' ? { ...classified, error } : { kind: 'stopped', stop: classified, error };
    }
  };
  const created = await observeCall(destination.slug, create);
  if (created.kind === 'answered') {
    // It is kept and shown. A tool that repeats what it was sent has not made an audience.
    const cleared = createRedactor(secretsOf(opened), { shapes: false })(created.externalId);
    if (cleared === created.externalId) return created.externalId;
    throw new TaskFailure('destination_answer_invalid', 'the id that it gave the audience has a secret of ours in it');
  }
  if (created.kind === 'refused') {
    throw new TaskFailure('destination_settings_invalid', created.reason, { cause: created.error });
  }
  const { stop } = created;
  throw stop.kind === 'aborted' || stop.kind === 'withdrawn' ? created.error : stop.failure;
}

// Longer than any tool's, and short enough to be sent with each message.
const MAX_EXTERNAL_ID = 1_000;

/** The id that a tool gave its audience. One that can't be kept as it is would name another audience. */
function readExternalId(given: unknown): string {
  const id = typeof given === 'string' || typeof given === 'number' ? String(given) : '';
  if (id !== '' && id.length <= MAX_EXTERNAL_ID && isStorable(id)) return id;
  throw new TaskFailure(
    'destination_answer_invalid',
    `the id that the tool gave the audience is no text or number, is empty, over ${MAX_EXTERNAL_ID} characters, or has a NUL or half a surrogate pair in it`,
  );
}

/** What came of the call that makes an audience. */
type Created =
  | { kind: 'answered'; externalId: string }
  | (Refusal & { error: unknown })
  | { kind: 'stopped'; stop: DeliveryStop; error: unknown };
