import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts what must be read back: destination settings, write keys, webhook secrets. */
export interface SecretBox {
  /** nonce ‖ tag ‖ ciphertext. `context` (the id of the row it is kept in) is bound to it: a box moved to another row does not open. */
  seal(plaintext: string, context: string): Buffer;
  /** Throws if the box was changed, belongs to another context, or was sealed with another secret. */
  open(box: Buffer, context: string): string;
}

/** AES-256-GCM with a key derived from TRAILMARK_SECRET, which is at least 32 characters. */
export function createSecretBox(secret: string): SecretBox {
  const key = Buffer.from(hkdfSync('sha256', secret, 'trailmark', 'secret-box', KEY_BYTES));
  return {
    seal(plaintext, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
      const ciphertext = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]);
    },
    open(box, context) {
      const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(context))
        .setAuthTag(box.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(box.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8');
    },
  };
}
