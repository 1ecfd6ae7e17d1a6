import type { Context } from 'hono';
import { RequestError } from '../errors.ts';
import { requireReadablePairs } from './middleware/request-texts.ts';
import { decodeUtf8 } from './middleware/utf8.ts';

// The longest form of ours has an email, or a reason, and a password.
const MAX_FORM_BYTES = 16_384;

/**
 * The fields of a form that one of our pages has sent; of a field that is there twice the last counts. Never reads more than a form of
 * ours can have, whatever is sent and announced: the form to sign in is anybody's. Throws RequestError
 * `form_type_unknown` or `body_too_large`, or names the field that is no text.
 */
export async function readForm(c: Context): Promise<Map<string, string>> {
  const [type = ''] = (c.req.header('content-type') ?? '').split(';', 1);
  if (type.trim().toLowerCase() !== 'application/x-www-form-urlencoded') {
    throw new RequestError(
      'unsupported_media_type',
      'form_type_unknown',
      'A form is sent as Content-Type: application/x-www-form-urlencoded.',
      { field: 'Content-Type' },
    );
  }
  const text = decodeUtf8(await readLimited(c));
  requireReadablePairs(text, 'field', 'body');
  return new Map(new URLSearchParams(text));
}

async function readLimited(c: Context): Promise<Uint8Array> {
  if (Number(c.req.header('content-length')) > MAX_FORM_BYTES) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_FORM_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): RequestError {
  return new RequestError('too_large', 'body_too_large', `A form has at most ${MAX_FORM_BYTES / 1024} KB.`);
}
