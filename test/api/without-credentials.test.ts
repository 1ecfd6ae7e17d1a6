import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createApiWorld, PUBLIC_URL, type ApiWorld } from './api-world.ts';

let world: ApiWorld;

beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(async () => await world.close());

const CHUNK_BYTES = 65_536;

/** A body without an announced length, and how much of it was asked for. */
function countedBody(chunks: number): { body: ReadableStream<Uint8Array>; pulled: () => number } {
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        pulled += 1;
        if (pulled > chunks) controller.close();
        else controller.enqueue(new Uint8Array(CHUNK_BYTES).fill(0x20));
      },
    },
    { highWaterMark: 0 },
  );
  return { body, pulled: () => pulled };
}

describe('what anyone may load', () => {
  async function publicPaths(): Promise<string[]> {
    const page = await (await world.app.request('/sign-in')).text();
    const assets = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path ?? '');
    expect(assets).not.toEqual([]);
    return ['/docs', '/openapi.json', '/sign-in', ...assets];
  }

  it('is the same bytes each time, compressed for who takes that, and not sent again to who has it', async () => {
    for (const path of await publicPaths()) {
      const plain = await world.app.request(path);
      const text = await plain.text();
      expect([path, plain.status, plain.headers.get('vary')]).toEqual([path, 200, 'Accept-Encoding']);
      expect(plain.headers.get('content-encoding')).toBeNull();

      const gzipped = await world.app.request(path, { headers: { 'accept-encoding': 'br;q=1, GZIP ; q=0.5' } });
      expect(gzipped.headers.get('content-encoding')).toBe('gzip');
      const bytes = Buffer.from(await gzipped.arrayBuffer());
      expect(gunzipSync(bytes).toString()).toBe(text);
      const refused = await world.app.request(path, { headers: { 'accept-encoding': 'gzip;q=0' } });
      expect(await refused.text()).toBe(text);

      for (const [answer, encoding] of [
        [plain, 'identity'],
        [gzipped, 'gzip'],
      ] as const) {
        const etag = answer.headers.get('etag') ?? '';
        for (const given of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
          const again = await world.app.request(path, {
            headers: { 'if-none-match': given, 'accept-encoding': encoding },
          });
          expect([path, given, again.status, await again.text()]).toEqual([path, given, 304, '']);
        }
      }
      expect(plain.headers.get('etag')).not.toBe(gzipped.headers.get('etag'));
      const other = await world.app.request(path, { headers: { 'if-none-match': '"other"' } });
      expect(other.status).toBe(200);
    }
  });

  it('has the type and the protection that it had', async () => {
    const docs = await world.app.request('/docs');
    expect(docs.headers.get('content-type')).toBe('text/html; charset=UTF-8');
    expect(docs.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect((await world.app.request('/openapi.json')).headers.get('content-type')).toBe('application/json');
  });
});

describe('whether it is ready', () => {
  it('is asked of the engines once, however many ask', async () => {
    const asked = vi.spyOn(world.pool, 'query');
    try {
      await Promise.all(Array.from({ length: 50 }, async () => await world.app.request('/readyz')));
      expect(asked.mock.calls.length).toBeLessThanOrEqual(1);
    } finally {
      asked.mockRestore();
    }
  });
});

describe('a body', () => {
  it('is not read before it is known who sends it, on any route that needs to know', async () => {
    const document = (await (await world.app.request('/openapi.json')).json()) as {
      paths: Record<string, Record<string, { security?: unknown[] }>>;
    };
    let tried = 0;
    for (const [path, item] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (method === 'get' || !JSON.stringify(operation.security ?? []).includes('accessToken')) continue;
        tried += 1;
        for (const headers of [
          {},
          { authorization: `Bearer tm_token_${'x'.repeat(32)}` },
          { cookie: `trailmark_session=tm_session_${'x'.repeat(32)}` },
        ] as Record<string, string>[]) {
          const { body, pulled } = countedBody(32);
          const response = await world.app.request(path.replaceAll(/\{\w+\}/g, 'x'), {
            method: method.toUpperCase(),
            headers: { 'content-type': 'application/json', ...headers },
            body,
            duplex: 'half',
          });
          expect([method, path, response.status, pulled()]).toEqual([method, path, 401, 0]);
        }
      }
    }
    expect(tried).toBeGreaterThan(25);
  });

  it('of a button is not read either', async () => {
    for (const path of ['/tasks/x/actions/cancel', '/computations/x/runs', '/sign-out', '/no/such/route']) {
      const { body, pulled } = countedBody(32);
      await world.app.request(path, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', origin: PUBLIC_URL },
        body,
        duplex: 'half',
      });
      expect([path, pulled()]).toEqual([path, 0]);
    }
  });

  it('of the form to sign in is read up to what such a form can have, and only as such a form', async () => {
    const { body, pulled } = countedBody(32);
    const headers = { 'content-type': 'application/x-www-form-urlencoded', origin: PUBLIC_URL };
    const large = await world.app.request('/sign-in', { method: 'POST', headers, body, duplex: 'half' });
    expect([large.status, pulled()]).toEqual([413, 1]);
    expect(await large.text()).toContain('A form has at most 16 KB.');
    const announced = await world.app.request('/sign-in', {
      method: 'POST',
      headers: { ...headers, 'content-length': '1000000' },
      body: 'x',
    });
    expect(announced.status).toBe(413);
    const form = new FormData();
    form.set('email', 'owner@example.com');
    const multipart = await world.app.request('/sign-in', {
      method: 'POST',
      headers: { origin: PUBLIC_URL },
      body: form,
    });
    expect(multipart.status).toBe(415);
  });
});
