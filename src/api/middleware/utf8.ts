import { isUtf8 } from 'node:buffer';
import { RequestError } from '../../errors.ts';

/**
 * The text of a body that has to be UTF-8, without a byte order mark. Throws RequestError `body_not_utf8`: a decoder that puts
 * U+FFFD in the place of what it can't read makes one text of many, and one person of several.
 */
export function decodeUtf8(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes);
  const at = firstInvalidByte(bytes);
  const byte = bytes[at]?.toString(16).padStart(2, '0') ?? '';
  throw new RequestError(
    'invalid',
    'body_not_utf8',
    `The body is not UTF-8: what begins at its byte ${at} (0x${byte}) is no character. Send UTF-8, with any other character of JSON as it is or as an escape.`,
    { data: { byte: at } },
  );
}

/** The text of percent-encoded bytes, such as a query string's; a `%` that encodes nothing is itself. Null where they are not UTF-8. */
export function decodePercent(text: string): string | null {
  if (!text.includes('%')) return text;
  try {
    return text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (encoded) => decodeURIComponent(encoded));
  } catch {
    return null;
  }
}

/** Where the first sequence begins that is not UTF-8: there, what was decoded leniently is no longer the same bytes. */
function firstInvalidByte(bytes: Uint8Array): number {
  const lenient = Buffer.from(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  let at = 0;
  while (at < bytes.length && bytes[at] === lenient[at]) at += 1;
  return at;
}
