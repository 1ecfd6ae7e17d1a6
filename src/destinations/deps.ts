import {
  createOutgoingHttpAgents,
  type AddressRules,
  type OutgoingHttpAgents,
  type SecretBox,
} from '../security/index.ts';

/** What talking to destinations needs. */
export interface DestinationDeps {
  secretBox: SecretBox;
  allowPrivateAddresses: boolean;
  agents: OutgoingHttpAgents;
  /** For one request, unless the definition asks for another time. */
  requestTimeoutMs: number;
}

/** What actions-core itself waits. */
const REQUEST_TIMEOUT_MS = 10_000;

export function createDestinationDeps(
  options: AddressRules & { secretBox: SecretBox; requestTimeoutMs?: number },
): DestinationDeps {
  return {
    secretBox: options.secretBox,
    allowPrivateAddresses: options.allowPrivateAddresses,
    agents: createOutgoingHttpAgents(options),
    requestTimeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
  };
}
