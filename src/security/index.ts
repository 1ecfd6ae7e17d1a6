export {
  createOutgoingAgent,
  createOutgoingHttpAgents,
  type OutgoingHttpAgents,
  type OutgoingOptions,
} from './outgoing-agent.ts';
export { AddressRefusedError, isRefusedAddress } from './refused-addresses.ts';
export { createSecretBox, type SecretBox } from './secret-box.ts';
export { hashToken, randomToken } from './tokens.ts';
