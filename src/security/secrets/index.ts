export { findAddresses, findSecrets, keepMasked, showSecrets, type FieldMarks } from './find-secrets.ts';
export { isAddressName, isSecretName } from './names.ts';
export { createRedactor, type Redact } from './redactor.ts';
export { isUrl, looksLikeKey, MASK, maskText, showAddress } from './shapes.ts';
