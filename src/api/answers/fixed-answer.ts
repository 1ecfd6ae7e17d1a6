import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip as gzipCallback } from 'node:zlib';
import type { Context, Handler } from 'hono';

const gzip = promisify(gzipCallback);

/** What an address answers as long as the process runs, as the bytes that go out. */
interface FixedAnswer {
  plain: Uint8Array<ArrayBuffer>;
  gzipped: Uint8Array<ArrayBuffer>;
  plainEtag: string;
  gzippedEtag: string;
}

/** The content of a fixed answer, and what it is sent with. */
export interface FixedContent {
  make: () => string | Promise<string>;
  contentType: string;
  /** Such as `no-cache`, so that a browser asks whether it has changed. */
  cacheControl: string;
}

/**
 * Answers what is the same for everybody and never changes while the process runs. It is made and compressed when it is first asked for, and
 * once: whoever may ask without credentials must not be able to make the one thread do it again. 304 to who has it already.
 */
export function fixedAnswer({ make, contentType, cacheControl }: FixedContent): Handler {
  let made: Promise<FixedAnswer> | undefined;
  return async (c) => {
    made ??= prepare(make).catch((error: unknown) => {
      // Not kept: the next one to ask tries again.
      made = undefined;
      throw error;
    });
    const { plain, gzipped, plainEtag, gzippedEtag } = await made;
    const compressed = takesGzip(c);
    const etag = compressed ? gzippedEtag : plainEtag;
    const headers = { 'cache-control': cacheControl, vary: 'Accept-Encoding', etag };
    if (hasAlready(c, [plainEtag, gzippedEtag])) return c.body(null, 304, headers);
    return c.body(compressed ? gzipped : plain, 200, {
      ...headers,
      'content-type': contentType,
      ...(compressed ? { 'content-encoding': 'gzip' } : {}),
    });
  };
}

async function prepare(make: FixedContent['make']): Promise<FixedAnswer> {
  const plain = new TextEncoder().encode(await make());
  const digest = createHash('sha256').update(plain).digest('base64url');
  return {
    plain,
    gzipped: new Uint8Array(await gzip(plain, { level: 9 })),
    plainEtag: `"${digest}"`,
    // Two representations have two tags (RFC 9110, 8.8.3.3).
    gzippedEtag: `"${digest}-gzip"`,
  };
}

function takesGzip(c: Context): boolean {
  return (c.req.header('accept-encoding') ?? '').split(',').some((coding) => {
    const [name = '', ...parameters] = coding.split(';').map((part) => part.trim().toLowerCase());
    return name === 'gzip' && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });
}

function hasAlready(c: Context, etags: readonly string[]): boolean {
  const given = c.req.header('if-none-match');
  if (given === undefined) return false;
  const tags = given.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes('*') || tags.some((tag) => etags.includes(tag));
}
