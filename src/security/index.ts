export { createSecretBox, type SecretBox } from './secret-box.ts';
export { hashToken, randomToken } from './tokens.ts';
