import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addMember, createUser } from '../../src/access/index.ts';
import { createApp } from '../../src/api/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { parseTrustedProxies } from '../../src/security/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createApiWorld, PUBLIC_URL, type ApiWorld } from './api-world.ts';

const PASSWORD = 'correct horse battery staple';
const OWNER = 'owner@example.com';

let world: ApiWorld;

beforeAll(async () => {
  world = await createApiWorld();
  await inTransaction(world.pool, async (tx) => {
    const user = await createUser(tx, { email: OWNER, name: 'Olivia', password: PASSWORD });
    const { workspaceId } = world.ours;
    await addMember(tx, { workspaceId, userId: user.id, role: 'workspace_owner', actor: SYSTEM_ACTOR });
  });
});
afterAll(async () => await world.close());
beforeEach(async () => {
  await world.pool.query('truncate sign_in_limits');
});

interface Try {
  password?: string;
  /** The other end of the socket. */
  socket?: string;
  forwardedFor?: string;
  cookie?: string;
}

async function signIn(app: ApiWorld['app'], given: Try): Promise<Response> {
  const { password = 'guess guess guess', socket = '10.0.0.1', forwardedFor, cookie } = given;
  return await app.request(
    '/sign-in',
    {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        origin: PUBLIC_URL,
        ...(forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }),
        ...(cookie === undefined ? {} : { cookie }),
      },
      body: new URLSearchParams({ email: OWNER, password }).toString(),
    },
    { incoming: { socket: { remoteAddress: socket } } },
  );
}

async function statuses(app: ApiWorld['app'], tries: Try[]): Promise<number[]> {
  const found: number[] = [];
  for (const one of tries) found.push((await signIn(app, one)).status);
  return found;
}

const GUESSES = Array.from({ length: 12 }, (_, n) => ({ forwardedFor: `198.51.100.${n}` }));
const STOPPED = [...Array.from({ length: 10 }, () => 401), 429, 429];

describe('where a sign-in comes from', () => {
  it('is the socket’s other end where no proxy is trusted, whatever X-Forwarded-For says', async () => {
    expect(await statuses(world.app, GUESSES)).toEqual(STOPPED);
  });

  it('is what the trusted proxy says, so that people behind it don’t share an address', async () => {
    const app = createApp({ ...world.deps, trustedProxies: parseTrustedProxies('10.0.0.0/8') });
    expect(await statuses(app, GUESSES)).toEqual(GUESSES.map(() => 401));
    // What the client sent itself stands further left.
    const forged = GUESSES.map(({ forwardedFor }) => ({ forwardedFor: `${forwardedFor}, 192.0.2.9` }));
    expect(await statuses(app, forged)).toEqual(STOPPED);
    const refused = await signIn(app, { forwardedFor: '192.0.2.9' });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await refused.text()).toContain('There were too many attempts to sign in.');
  });
});

describe('who has signed in before from their browser', () => {
  it('gets in while somebody guesses from behind the same address, and nobody else has their way', async () => {
    const first = await signIn(world.app, { password: PASSWORD });
    const device = first.headers.getSetCookie().find((one) => one.startsWith('trailmark_device=')) ?? '';
    expect(device).toMatch(/HttpOnly; Secure; SameSite=Lax/);
    expect(await statuses(world.app, GUESSES)).toEqual(STOPPED);
    const cookie = device.split(';')[0] ?? '';
    expect((await signIn(world.app, { password: PASSWORD })).status).toBe(429);
    for (const forged of ['trailmark_device=x', `${cookie}x`, `trailmark_device=${'A'.repeat(5_000)}`]) {
      expect((await signIn(world.app, { password: PASSWORD, cookie: forged })).status).toBe(429);
    }
    expect((await signIn(world.app, { password: PASSWORD, cookie })).status).toBe(303);
    // It is no way in by itself.
    const page = await world.app.request('/', { headers: { accept: 'text/html', cookie } });
    expect(page.headers.get('location')).toBe('/sign-in');
  });
});

describe('guessing access tokens, sessions and write keys', () => {
  const token = (): string => `tm_token_${randomBytes(24).toString('base64url')}`;
  const session = (): string => `tm_session_${randomBytes(24).toString('base64url')}`;
  const ask = async (headers: Record<string, string>, address: string): Promise<number> => {
    const env = { incoming: { socket: { remoteAddress: address } } };
    return (await world.app.request('/workspace', { headers }, env)).status;
  };
  const withToken = async (secret: string, address: string): Promise<number> =>
    await ask({ authorization: `Bearer ${secret}` }, address);

  const track = async (writeKey: string, address: string, inBody: boolean): Promise<number> => {
    const env = { incoming: { socket: { remoteAddress: address } } };
    const headers = {
      'content-type': 'application/json',
      ...(inBody ? {} : { authorization: `Basic ${Buffer.from(`${writeKey}:`).toString('base64')}` }),
    };
    const body = JSON.stringify({ event: 'A', userId: 'u', ...(inBody ? { writeKey } : {}) });
    const answer = await world.app.request('/v1/track', { method: 'POST', headers, body }, env);
    if (answer.status === 429) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    return answer.status;
  };

  it('is stopped for write keys too, and an event with a valid one is taken whatever its neighbours guess', async () => {
    const { body } = await world.send('POST', '/sources', {
      token: world.ours.owner,
      body: { slug: 'guessed', enabled: true, metadataId: 'http-api' },
    });
    const [valid = ''] = (body.data['source'] as unknown as { writeKeys: string[] }).writeKeys;
    const answers: number[] = [];
    for (let n = 0; n < 80; n += 1) {
      answers.push(await track(`tm_write_${randomBytes(24).toString('base64url')}`, '192.0.2.60', n % 2 === 0));
    }
    expect(answers.slice(0, 60)).toEqual(Array.from({ length: 60 }, () => 401));
    expect(answers).toContain(429);
    for (const inBody of [false, true]) expect(await track(valid, '192.0.2.60', inBody)).toBe(200);
    const wrong = `tm_write_${randomBytes(24).toString('base64url')}`;
    const same = await Promise.all(Array.from({ length: 100 }, async () => await track(wrong, '192.0.2.61', false)));
    expect(new Set(same)).toEqual(new Set([401]));
  });

  it('is stopped for the address it comes from, and for nobody else', async () => {
    const address = '192.0.2.70';
    const answers: number[] = [];
    for (let n = 0; n < 80; n += 1) {
      answers.push(
        n % 2 === 0
          ? await withToken(token(), address)
          : await ask({ cookie: `trailmark_session=${session()}` }, address),
      );
    }
    expect(answers.slice(0, 60)).toEqual(Array.from({ length: 60 }, () => 401));
    expect(answers).toContain(429);
    // Who has a valid one, used from there before or not, and everybody elsewhere.
    expect(await withToken(world.ours.owner, address)).toBe(200);
    expect(await withToken(world.ours.member, '192.0.2.71')).toBe(200);
  });

  it('is not what a program does that sends one wrong token again and again, or something that is none', async () => {
    const wrong = token();
    const answers: number[] = [];
    for (let n = 0; n < 100; n += 1) {
      answers.push(await withToken(n % 2 === 0 ? wrong : `nonsense-${n}`, '192.0.2.80'));
    }
    expect(new Set(answers)).toEqual(new Set([401]));
    expect(await withToken(world.ours.member, '192.0.2.80')).toBe(200);
  });
});
