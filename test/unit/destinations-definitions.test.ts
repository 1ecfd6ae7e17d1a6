import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  actionsCore,
  createCoreDestination,
  requireDefinition,
  schemaName,
} from '../../src/destinations/actions-core/actions-core.ts';
import { CATALOGUE, UNCHECKED } from '../../src/destinations/catalogue/catalogue.ts';
import { getDefinition, listDefinitions, MASK } from '../../src/destinations/index.ts';
import {
  checkAudienceSettings,
  checkSettings,
  mergeSettings,
  maskSettings,
} from '../../src/destinations/settings/settings.ts';
import { checkSubscriptions } from '../../src/destinations/settings/subscriptions.ts';
import { parseTrigger } from '../../src/destinations/catalogue/trigger.ts';

const refused = (field: string, message: string) =>
  expect.objectContaining({ name: 'RequestError', kind: 'invalid', field, message: expect.stringContaining(message) });

describe('the catalogue', () => {
  it('is what is installed, and loads', () => {
    const require = createRequire(import.meta.url);
    const folder = dirname(require.resolve('@segment/action-destinations/dist/destinations/index.js'));
    const installed = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      // The first has no code, the second does nothing, the third wants xml-js, which it does not declare.
      .filter((slug) => !['example', 'noop', 'salesforce-marketing-cloud'].includes(slug));
    expect([...CATALOGUE.keys()]).toEqual(installed);
    expect([...UNCHECKED].every((slug) => CATALOGUE.has(slug))).toBe(true);
    expect(listDefinitions()).toHaveLength(installed.length);
    for (const [slug, name] of CATALOGUE) expect(getDefinition(slug).name, slug).toBe(name);
  }, 30_000);

  it('knows every destination that brings a network client of its own', () => {
    const require = createRequire(import.meta.url);
    const folder = dirname(require.resolve('@segment/action-destinations/dist/destinations/index.js'));
    const own = [...CATALOGUE.keys()].filter((slug) => {
      const sources = readdirSync(join(folder, slug), { recursive: true, encoding: 'utf8' });
      return sources.some(
        (file) => file.endsWith('.js') && !file.includes('__tests__') && bringsClient(join(folder, slug, file)),
      );
    });
    expect(own).toEqual([...UNCHECKED]);
  }, 30_000);

  it('has triggers that Trailmark reads, and schemas that ajv takes, in all of it', () => {
    const core = actionsCore();
    for (const slug of CATALOGUE.keys()) {
      const { actions, presets } = getDefinition(slug);
      for (const { trigger } of presets) parseTrigger(trigger, slug);
      for (const { defaultTrigger } of actions) if (defaultTrigger !== null) parseTrigger(defaultTrigger, slug);
      expect(createCoreDestination(slug, 1_000).actions, slug).toBeTypeOf('object');
      for (const [key, action] of Object.entries(requireDefinition(slug).actions)) {
        const schemaKey = `${schemaName(slug)}:test:${key}`;
        core.validateSchema({}, core.fieldsToJsonSchema(action.fields), { schemaKey, throwIfInvalid: false });
      }
    }
  }, 60_000);

  it('has no pattern of its own in a schema, which could keep the thread that checks settings for ever', () => {
    const core = actionsCore();
    for (const slug of CATALOGUE.keys()) {
      const { actions, authentication, audienceFields } = requireDefinition(slug);
      for (const fields of [
        authentication?.fields,
        audienceFields,
        ...Object.values(actions).map((one) => one.fields),
      ]) {
        const schema = JSON.stringify(core.fieldsToJsonSchema(fields ?? {}));
        expect(schema, slug).not.toMatch(/"pattern(Properties)?":\{?"/);
      }
    }
  });

  it('takes Segment’s own slug too, and nothing that is not in the catalogue', () => {
    expect(getDefinition('actions-webhook').slug).toBe('webhook');
    for (const slug of ['../../../evil', 'webhook/send', '', 'constructor', 'example']) {
      expect(() => getDefinition(slug), slug).toThrow(refused('slug', 'There is no destination'));
    }
  });

  it('describes a destination', () => {
    expect(getDefinition('webhook-audiences')).toMatchObject({
      name: 'Webhook Audiences',
      settings: [
        { key: 'sharedSecret', type: 'password', secret: true, required: false },
        { key: 'createAudienceUrl', secret: false },
        { key: 'getAudienceUrl', secret: false },
      ],
      actions: [{ key: 'send', batches: true, defaultTrigger: null }],
      audiences: { created: true, settings: [{ key: 'extras' }] },
    });
    expect(getDefinition('webhook').audiences).toBeNull();
  });
});

function bringsClient(file: string): boolean {
  return /require\("(@aws-sdk\/|kafkajs|ssh2|axios|got|undici|net"|tls"|dgram"|http")/.test(readText(file));
}

function readText(file: string): string {
  return createRequire(import.meta.url)('node:fs').readFileSync(file, 'utf8');
}

describe('settings', () => {
  const amplitude = getDefinition('amplitude-cohorts');
  const valid = { api_key: 'k', secret_key: 's', app_id: '1', default_owner_email: 'a@b.c', endpoint: 'europe' };

  it('are checked by the definition’s schema: each error names its field', () => {
    expect(checkSettings(amplitude, valid)).toEqual(valid);
    const { secret_key: _, ...lacking } = valid;
    expect(() => checkSettings(amplitude, lacking)).toThrow(refused('settings.secret_key', 'is required'));
    expect(() => checkSettings(amplitude, { ...valid, endpoint: 'mars' })).toThrow(
      refused('settings.endpoint', 'must be one of: "north_america" or "europe"'),
    );
    expect(() => checkSettings(amplitude, { ...valid, apikey: 'k' })).toThrow(
      refused('settings.apikey', 'it takes api_key, secret_key'),
    );
    expect(() => checkSettings(getDefinition('slack'), { a: 1 })).toThrow(refused('settings.a', 'it takes none'));
  });

  it('and mappings are refused by the name of the field where they are larger than any that a tool can want', () => {
    const long = 'x'.repeat(16_385);
    expect(() => checkSettings(amplitude, { ...valid, api_key: long })).toThrow(
      refused('settings.api_key', '16385 characters'),
    );
    expect(checkSettings(amplitude, { ...valid, api_key: long.slice(1) })).toMatchObject({ api_key: long.slice(1) });
    const webhook = getDefinition('webhook');
    const mapping = (data: unknown) => [{ mapping: { url: 'https://example.com/', data } }];
    expect(() => checkSubscriptions(webhook, mapping({ a: ['x', { b: long }] }))).toThrow(
      refused('subscriptions[0].mapping.data.a[1].b', '16385 characters'),
    );
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`field-${at}`, long.slice(1)]));
    expect(() => checkSubscriptions(webhook, mapping(many))).toThrow(refused('subscriptions[0].mapping', '100000'));
  });

  it('get the definition’s defaults, and types by text', () => {
    const { endpoint: _, ...rest } = valid;
    expect(checkSettings(amplitude, rest)).toEqual({ ...valid, endpoint: 'north_america' });
    expect(checkSettings(amplitude, { ...valid, app_id: 7 })).toEqual({ ...valid, app_id: '7' });
  });

  it('hold OAuth tokens only where the destination is authenticated to so', () => {
    const facebook = getDefinition('facebook-custom-audiences');
    const settings = { retlAdAccountId: 'act_1', oauth: { access_token: 'token' } };
    expect(checkSettings(facebook, settings)).toMatchObject(settings);
    expect(() => checkSettings(facebook, { ...settings, oauth: { access_token: 1 } })).toThrow(
      refused('settings.oauth', 'access_token'),
    );
    expect(() => checkSettings(amplitude, { ...valid, oauth: {} })).toThrow(refused('settings.oauth', 'not known'));
  });

  it('are masked where they are secret, and a mask that is written back changes nothing', () => {
    const masked = maskSettings(amplitude, { ...valid, oauth: { access_token: 'token' } });
    expect(masked).toEqual({ ...valid, api_key: MASK, secret_key: MASK, oauth: MASK });
    expect(mergeSettings(amplitude, valid, { ...masked, app_id: '2', default_owner_email: null, oauth: null })).toEqual(
      {
        api_key: 'k',
        secret_key: 's',
        app_id: '2',
        endpoint: 'europe',
      },
    );
  });

  it('of an audience are checked too', () => {
    expect(() => checkAudienceSettings(amplitude, { id_type: 'BY_MOON' })).toThrow(
      refused('audienceSettings.id_type', 'must be one of'),
    );
    expect(() => checkAudienceSettings(getDefinition('webhook'), { extras: '' })).toThrow(
      refused('audienceSettings.extras', 'it takes none'),
    );
  });
});

describe('subscriptions', () => {
  const webhook = getDefinition('webhook');

  it('are completed from the definition', () => {
    expect(checkSubscriptions(webhook, [{ mapping: { url: 'https://example.com/hook' } }])).toEqual([
      {
        name: 'Send',
        action: 'send',
        trigger: 'type = "track" or type = "identify"',
        enabled: true,
        mapping: {
          url: 'https://example.com/hook',
          method: 'POST',
          batch_size: 0,
          data: { '@path': '$.' },
          batch_keys: ['url', 'method', 'headers'],
        },
      },
    ]);
  });

  it('are taken from presets and suggested triggers where they match what Trailmark sends', () => {
    const cohorts = checkSubscriptions(getDefinition('amplitude-cohorts'), undefined);
    expect(cohorts).toMatchObject([{ action: 'syncAudience', mapping: { batch_size: 100 } }]);
    const launchdarkly = checkSubscriptions(getDefinition('launchdarkly-audiences'), []);
    expect(launchdarkly[0]?.mapping['enable_batching']).toBe(true);
    expect(launchdarkly.map(({ trigger }) => trigger)).toEqual(['type = "identify" or type = "track"']);
  });

  it.each([
    [{}, 'subscriptions[0].mapping.url', 'is required'],
    [{ mapping: { url: 7 } }, 'subscriptions[0].mapping.url', ''],
    [{ mapping: { url: 'ftp://example.com' } }, 'subscriptions[0].mapping.url', 'http:// or https://'],
    [{ mapping: { url: 'not a url' } }, 'subscriptions[0].mapping.url', ''],
    [{ mapping: { url: 'https://a.b', method: 'GET' } }, 'subscriptions[0].mapping.method', 'must be one of'],
    [{ mapping: { url: { '@oops': '$.x' } } }, 'subscriptions[0].mapping.url', 'invalid directive'],
    [{ mapping: { url: 'https://a.b', hat: 1 } }, 'subscriptions[0].mapping.hat', 'it has url, method'],
    [{ mapping: { url: 'https://a.b' }, action: 'post' }, 'subscriptions[0].action', 'It has send'],
    [{ mapping: { url: 'https://a.b' }, trigger: 'type' }, 'subscriptions[0].trigger', 'expected'],
  ])('%j are refused at %s', (input, field, message) => {
    expect(() => checkSubscriptions(webhook, [input])).toThrow(refused(field, message));
  });
});
