export {
  addressBlock,
  clientAddress,
  parseTrustedProxies,
  readAddress,
  type TrustedProxies,
} from './client-address.ts';
export { createOutgoingAgent, createOutgoingHttpAgents, type OutgoingHttpAgents } from './outgoing-agent.ts';
export { isRefusedAddress, type AddressRules } from './refused-addresses.ts';
export {
  createRedactor,
  findAddresses,
  findSecrets,
  isAddressName,
  isSecretName,
  isUrl,
  keepMasked,
  looksLikeKey,
  MASK,
  maskText,
  showAddress,
  showSecrets,
  type FieldMarks,
  type Redact,
} from './secrets/index.ts';
export { createSecretBox, type SecretBox } from './secret-box.ts';
export { hashToken, looksLikeToken, randomToken } from './tokens.ts';
