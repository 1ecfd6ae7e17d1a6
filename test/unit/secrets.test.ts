import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createRedactor,
  findAddresses,
  findSecrets,
  isSecretName,
  keepMasked,
  looksLikeKey,
  MASK,
  maskText,
  showAddress,
  showSecrets,
} from '../../src/security/index.ts';

const alphanumeric = (min: number, max = min) =>
  fc.string({
    unit: fc.constantFrom(...Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')),
    minLength: min,
    maxLength: max,
  });
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: length, maxLength: length });
/** Letters and digits as a random generator gives them: some of each. */
const random = (min: number, max = min) =>
  alphanumeric(min, max).filter(
    (text) => (text.match(/\d/g)?.length ?? 0) >= 4 && /[a-z]/.test(text) && /[A-Z]/.test(text),
  );
const base64 = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((array) => Buffer.from(array).toString('base64url'));

describe('what looks like a key', () => {
  const keys = fc.oneof(
    alphanumeric(24).map((tail) => `sk_live_${tail}`),
    alphanumeric(24).map((tail) => `rk_test_${tail}`),
    fc.tuple(hex(10), alphanumeric(24)).map(([first, last]) => `xoxb-${first}-${last}`),
    alphanumeric(36).map((tail) => `ghp_${tail}`),
    alphanumeric(60).map((tail) => `github_pat_${tail}`),
    alphanumeric(16).map((tail) => `AKIA${tail.toUpperCase()}`),
    alphanumeric(35).map((tail) => `AIza${tail}`),
    fc.tuple(base64(16), base64(32)).map(([one, other]) => `SG.${one}.${other}`),
    fc.tuple(base64(20), base64(30), base64(32)).map(([head, body, sign]) => `eyJ${head}.eyJ${body}.${sign}`),
    base64(60).map((body) => `-----BEGIN RSA PRIVATE KEY-----\n${body}\n-----END RSA PRIVATE KEY-----`),
    fc.tuple(alphanumeric(4, 12), alphanumeric(8, 20)).map(([user, pass]) => `Basic ${btoa(`${user}:${pass}`)}`),
    random(20, 40).map((token) => `Bearer ${token}`),
    random(20, 40).map((token) => `bearer ${token}`),
    hex(32).filter((text) => /(?:\d.*){3}/.test(text) && /[a-f]/.test(text)),
    random(20, 30).map((tail) => `whsec_${tail}`),
    fc.tuple(hex(32), fc.integer({ min: 1, max: 21 })).map(([key, dc]) => `${key}-us${dc}`),
  );

  it('is known by its prefix, its form or its scheme', () => {
    fc.assert(fc.property(keys, (key) => looksLikeKey(key)));
  });

  it('is found inside of a text too, and nothing of it is left', () => {
    fc.assert(
      fc.property(keys, fc.constantFrom('', 'x=', 'the key is ', '("'), (key, before) => {
        const shown = maskText(`${before}${key}`);
        for (const part of key.split(/\s+/).filter((one) => one.length > 8)) expect(shown).not.toContain(part);
      }),
    );
  });

  const word = fc.constantFrom(
    'Order',
    'Completed',
    'Viewed',
    'Cart',
    'Subscription',
    'Internationalization',
    'Basic',
    'Token',
    'key',
    'secret',
    'Plan',
    'Step2',
  );
  const words = fc.array(word, { minLength: 1, maxLength: 6 });
  const ordinary = fc.oneof(
    words.map((list) => list.join(' ')),
    words.map((list) => list.join('')),
    words.map((list) => list.join('_').toLowerCase()),
    words.map((list) => list.join('-').toLowerCase()),
    words.map((list) => `$.properties.${list.join('.')}`),
    words.map((list) => `$.context.traits.${list.join('_').toLowerCase()}`),
    words.map((list) => `/${list.join('/')}`),
    fc.uuid(),
    fc.ulid(),
    fc
      .tuple(fc.constantFrom('dst', 'aud', 'tsk', 'ctr', 'src'), fc.ulid())
      .map(([type, id]) => `${type}_${id.toLowerCase()}`),
    fc.emailAddress(),
    fc.integer().map(String),
    fc.bigInt({ min: 0n }).map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    fc.domain(),
    fc.domain().map((host) => `https://${host}`),
    fc.domain().map((host) => `https://${host}/v1/users`),
    fc.constantFrom(
      'type = "track"',
      'user-{{userId}}',
      '{{ properties.x }}',
      'application/json',
      'POST',
      'us-east-1',
      'EU',
      'true',
    ),
  );

  it('is no event name, path, id, email, number, date, host or template', () => {
    fc.assert(
      fc.property(ordinary, (text) => {
        expect([text, maskText(text)]).toEqual([text, text]);
        expect(showSecrets({ event_name: text, id: text, email: text, value: { '@template': text } })).toEqual({
          event_name: text,
          id: text,
          email: text,
          value: { '@template': text },
        });
      }),
      { numRuns: 500 },
    );
  });
});

describe('a name', () => {
  it('of a secret is known in every spelling', () => {
    for (const name of [
      'apiKey',
      'api_key',
      'API-KEY',
      'X-Api-Key',
      'apikey',
      'key',
      'writeKey',
      'accessKeyId',
      'secret',
      'client_secret',
      'sharedSecret',
      'token',
      'accessToken',
      'auth_token',
      'password',
      'userPassword',
      'passphrase',
      'Authorization',
      'Proxy-Authorization',
      'authorization',
      'cookie',
      'Set-Cookie',
      'signature',
      'X-Hub-Signature-256',
      'private_key',
      'credentials',
      'bearer',
      'webhook',
      'x-auth',
      'jwt',
    ]) {
      expect([name, isSecretName(name)]).toEqual([name, true]);
    }
  });

  it('of anything else is not', () => {
    for (const name of [
      'event',
      'email',
      'userId',
      'audience_key',
      'primaryKey',
      'computation_key',
      'author',
      'token_type',
      'keyword',
      'monkey',
      'partition_key',
      'public_key_id_field',
      'externalId',
      'batch_size',
      'authType',
      'tokenUrl',
      'passenger',
      'secretary',
      'compass',
      'event_key',
    ]) {
      expect([name, isSecretName(name)]).toEqual([name, false]);
    }
  });
});

describe('an address', () => {
  it('is shown without user, password, and what of its path and query may be a key', () => {
    expect(showAddress('https://hooks.slack.com/services/T0001/B0001/x8Yz')).toBe(
      `https://hooks.slack.com/services/${MASK}/${MASK}/${MASK}`,
    );
    expect(showAddress('https://me:pass@example.com/hook')).toBe(`https://${MASK}@example.com/hook`);
    expect(showAddress('https://example.com/v1/users?page=2&token=abc&x=4f3a')).toBe(
      `https://example.com/v1/users?page=2&token=${MASK}&x=${MASK}`,
    );
    expect(showAddress('https://example.com')).toBe('https://example.com');
    expect(showAddress('postgres://u:p@db:5432/main')).toBe(`postgres://${MASK}@db:5432/main`);
  });
});

/** A directive that chooses: it has a key that an object of ours must not have. */
function choice(yes: string, no: string): unknown {
  return JSON.parse(
    JSON.stringify({ '@if': { exists: { '@path': '$.a' }, yes, else: no } }).replace('"yes"', '"then"'),
  );
}

describe('settings and mappings', () => {
  const mapping = {
    url: 'https://example.com/hook/7hd8s',
    method: 'POST',
    headers: {
      Authorization: 'plain-but-secret',
      'X-Tenant': 'tenant-secret',
      'Content-Type': 'application/json',
      'X-User': { '@path': '$.userId' },
      'X-Sign': { '@template': 'v1 {{messageId}} planted' },
      'X-Deep': choice('then-secret', 'else-secret'),
    },
    pairs: [
      { key: 'x-api-key', value: 'pair-secret' },
      { key: 'color', value: 'red' },
    ],
    extras: '{"nested":{"password":"json-secret"},"color":"red"}',
    data: { event: 'Order Completed', note: 'sk_live_abcdefgh12345678' },
    count: 5,
  };

  it('show no secret, and all the rest', () => {
    const shown = showSecrets(mapping);
    expect(shown).toEqual({
      url: `https://example.com/hook/${MASK}`,
      method: 'POST',
      headers: {
        Authorization: MASK,
        'X-Tenant': MASK,
        'Content-Type': 'application/json',
        'X-User': { '@path': '$.userId' },
        'X-Sign': { '@template': MASK },
        'X-Deep': choice(MASK, MASK),
      },
      pairs: [
        { key: 'x-api-key', value: MASK },
        { key: 'color', value: 'red' },
      ],
      extras: `{"nested":{"password":"${MASK}"},"color":"red"}`,
      data: { event: 'Order Completed', note: MASK },
      count: 5,
    });
    expect(findSecrets(mapping).map(({ path }) => path)).toEqual([
      'url',
      'headers.Authorization',
      'headers.X-Tenant',
      'headers.X-Sign.@template',
      'headers.X-Deep.@if.then',
      'headers.X-Deep.@if.else',
      'pairs[0].value',
      'extras',
      'data.note',
    ]);
  });

  it('written back as they were read are what they were, and a mask that stands for nothing is refused by name', () => {
    expect(keepMasked(showSecrets(mapping), mapping, showSecrets(mapping), 'mapping')).toEqual(mapping);
    for (const [given, field] of [
      [{ method: MASK }, 'mapping.method'],
      [{ headers: { 'X-New': MASK } }, 'mapping.headers.X-New'],
      [{ headers: { Authorization: `Bearer ${MASK}` } }, 'mapping.headers.Authorization'],
      [{ url: `https://evil.example/hook/${MASK}` }, 'mapping.url'],
      [
        {
          pairs: [
            { key: 'color', value: 'red' },
            { key: 'x', value: MASK },
          ],
        },
        'mapping.pairs[1].value',
      ],
    ] as const) {
      expect(() => keepMasked(given, mapping, showSecrets(mapping), 'mapping')).toThrow(
        expect.objectContaining({ name: 'RequestError', kind: 'invalid', field }),
      );
    }
  });

  it('say where they send to', () => {
    const free = () => true;
    expect([
      ...findAddresses({ subdomain: 'acme', account: 'a.evil.com/', name: 'Acme', email: 'a@b.com' }, free).keys(),
    ]).toEqual(['subdomain', 'account']);
    expect([...findAddresses({ url: { '@path': '$.properties.url' }, image_url: { '@path': '$.x' } }).keys()]).toEqual([
      'url',
    ]);
    expect([...findAddresses({ data: { to: { '@template': 'https://{{properties.host}}/x' } } }).keys()]).toEqual([
      'data.to.@template',
    ]);
  });
});

describe('a redactor', () => {
  const secret = fc.oneof(
    alphanumeric(6, 60),
    fc.string({ unit: 'grapheme', minLength: 8, maxLength: 40 }).filter((text) => text.trim().length >= 8),
  );
  const encodings: ((text: string) => string)[] = [
    (text) => text,
    (text) => JSON.stringify({ echoed: text }),
    (text) => JSON.stringify(JSON.stringify({ echoed: text })),
    (text) => encodeURIComponent(text),
    (text) => new URLSearchParams({ echoed: text }).toString(),
    (text) => Buffer.from(text).toString('base64'),
    (text) => Buffer.from(text).toString('base64url'),
    (text) => Buffer.from(text).toString('hex'),
    (text) => Buffer.from(text).toString('hex').toUpperCase(),
    (text) => `Basic ${Buffer.from(`user:${text}`).toString('base64')}`,
    (text) => `Basic ${Buffer.from(`me:${text}`).toString('base64')}`,
    (text) => `Basic ${Buffer.from(`abcd:${text}`).toString('base64')}`,
    (text) => `Authorization: Bearer ${text}`,
  ];

  it('takes a secret out in whatever form an answer repeats it, and says it did', () => {
    fc.assert(
      fc.property(secret, fc.constantFrom(...encodings), fc.string(), (text, encode, around) => {
        const well = Buffer.from(text).toString('utf8');
        const echoed = `${around} ${encode(well)} ${around}`;
        const left = createRedactor([well])(echoed);
        expect(left).toContain('***');
        for (const form of [well, encode(well).replace(/^Basic /, '')]) {
          if (form.length >= 6 && !around.includes(form)) expect(left).not.toContain(form);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('takes out what is begun and cut off, the parts of credentials and the hidden half of an address', () => {
    const redact = createRedactor([
      'Basic dXNlcjpodW50ZXIyMg==',
      'https://hooks.example.com/services/T1/planted-path',
      'line-one-of-the-key\nline-two-of-the-key',
    ]);
    expect(redact('no: hunter22')).toBe('no: ***');
    expect(redact('no: dXNlcjpodW50ZXIyMg==')).toBe('no: ***');
    expect(redact('404 for /services/T1/planted-path')).not.toContain('planted');
    expect(redact('cut: line-two-of-th…')).toBe('cut: ***…');
  });

  it('takes out whole what begins as another secret does, whichever is longer', () => {
    const redact = createRedactor(['planted-one', 'planted-one-two', 'planted-one-two-three', 'planted-three']);
    expect(redact('planted-one planted-one-two-threefold planted-on planted-three! planted-one-two')).toBe(
      '*** ***fold planted-on ***! ***',
    );
  });

  it('knows a secret of any length and make, as much of it as it reads of an answer', () => {
    for (const unit of ['{{', '{% ', '/', '"', 'aB1', 'a.', '<', ' x']) {
      const long = `planted ${unit.repeat(16_000 / unit.length)} end`;
      const redact = createRedactor([long, long]);
      expect(redact(`400: ${long.slice(0, 4_000)}`)).toBe('400: ***');
      expect(redact(`400: ${JSON.stringify(long)}`)).not.toContain(unit.repeat(4));
    }
  });

  it('takes out each of many secrets, wherever it stands', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'B', 'é', 'İ', '1'), minLength: 6, maxLength: 12 });
    fc.assert(
      fc.property(
        fc.array(letters, { minLength: 1, maxLength: 30 }),
        fc.string({ maxLength: 200 }),
        (secrets, around) => {
          const redact = createRedactor(secrets, { shapes: false });
          const echoed = redact(secrets.map((one) => `${around}|${one}|`).join(''));
          for (const one of secrets) if (!around.includes(one)) expect(echoed).not.toContain(one);
        },
      ),
    );
  });

  it('leaves a text alone that has nothing to do with it', () => {
    const redact = createRedactor(['the-secret', 'key']);
    for (const text of ['400: email is not valid', 'monkey business', 'The user user-17 is unknown', '{"ok":false}']) {
      expect(redact(text)).toBe(text);
    }
  });
});
