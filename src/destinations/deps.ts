import {
  createOutgoingHttpAgents,
  type AddressRules,
  type OutgoingHttpAgents,
  type SecretBox,
} from '../security/index.ts';
import { ThreadPool } from './threads/thread-pool.ts';

/** What talking to destinations needs. */
export interface DestinationDeps extends DestinationCallDeps {
  secretBox: SecretBox;
}

/** What a call to a destination needs. */
export interface DestinationCallDeps {
  allowPrivateAddresses: boolean;
  agents: OutgoingHttpAgents;
  /** For one request, unless the definition asks for another time. */
  requestTimeoutMs: number;
  /** Where what people and third parties wrote is executed; null in such a thread itself. */
  threads: ThreadPool | null;
}

/** What actions-core itself waits. */
const REQUEST_TIMEOUT_MS = 10_000;

/** `maxComputeMs`: what others wrote may compute so long for one batch, in milliseconds. */
export function createDestinationDeps(
  options: AddressRules & { secretBox: SecretBox; requestTimeoutMs?: number; maxComputeMs?: number },
): DestinationDeps {
  const { secretBox, requestTimeoutMs = REQUEST_TIMEOUT_MS, maxComputeMs, ...rules } = options;
  return {
    secretBox,
    allowPrivateAddresses: rules.allowPrivateAddresses,
    agents: createOutgoingHttpAgents(rules),
    requestTimeoutMs,
    threads: new ThreadPool(rules, requestTimeoutMs, maxComputeMs),
  };
}
