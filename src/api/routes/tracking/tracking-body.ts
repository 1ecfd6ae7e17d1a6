import type { Context } from 'hono';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { RequestError } from '../../../errors.ts';
import { MAX_BATCH_BYTES } from '../../../pipeline/index.ts';
import { decodeUtf8 } from '../../middleware/utf8.ts';

const inflate = promisify(gunzip);

/** What a body may come to in memory: what its client announces, or else the limit. */
export function announcedBytes(c: Context): number {
  const announced = Number(c.req.header('content-length') ?? Number.NaN);
  const plain = [undefined, '', 'identity'].includes(c.req.header('content-encoding')?.toLowerCase());
  return plain && announced >= 0 ? Math.min(announced, MAX_BATCH_BYTES) : MAX_BATCH_BYTES;
}

/** The body's text, which has to be UTF-8, inflated where it is gzip. Never holds more than the limit, whatever the client announces. */
export async function readTrackingText(c: Context): Promise<string> {
  const announced = Number(c.req.header('content-length'));
  if (announced > MAX_BATCH_BYTES) throw tooLarge();
  switch (c.req.header('content-encoding')?.toLowerCase()) {
    case undefined:
    case '':
    case 'identity':
      return decodeUtf8(Number.isNaN(announced) ? await readLimited(c) : new Uint8Array(await c.req.arrayBuffer()));
    case 'gzip':
      return await inflateLimited(Number.isNaN(announced) ? await readLimited(c) : await c.req.arrayBuffer());
    default:
      throw new RequestError('invalid', 'encoding_unknown', 'Content-Encoding is gzip, or none.', {
        field: 'Content-Encoding',
      });
  }
}

/** A chunked body says its length nowhere: it is counted as it comes. */
async function readLimited(c: Context): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const { body } = c.req.raw;
  if (body !== null) {
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > MAX_BATCH_BYTES) throw tooLarge();
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks);
}

async function inflateLimited(body: ArrayBuffer | Buffer): Promise<string> {
  let inflated: Buffer;
  try {
    inflated = await inflate(body, { maxOutputLength: MAX_BATCH_BYTES });
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
    throw new RequestError('invalid', 'malformed_body', 'The body is not gzip, and its Content-Encoding says it is.', {
      cause: error,
    });
  }
  return decodeUtf8(inflated);
}

function tooLarge(): RequestError {
  return new RequestError('too_large', 'body_too_large', `A body has at most ${MAX_BATCH_BYTES / 1024} KB.`);
}
