import { describe, expect, it } from 'vitest';
import { findSecrets, showSecrets } from '../../src/security/index.ts';

describe('an address in a template', () => {
  it.each([
    ['http:/127.0.0.1:8080/services/T01/B02/abcDEF123', ['T01', 'abcDEF123']],
    ['http:127.0.0.1:8080/services/T01/B02/abcDEF124', ['T01', 'abcDEF124']],
    ['https:\\\\h.example\\services\\abcDEF125', ['abcDEF125']],
    ['https://{{ properties.h }}/services/T01/B02/abcDEF123', ['T01', 'abcDEF123']],
    ['{{properties.base}}/services/T01/B02/abcDEF123', ['T01', 'abcDEF123']],
    ['{{ properties.base }}/services/T01{{x}}/abcDEF123', ['T01', 'abcDEF123']],
    ['https:/user:pw12345@h.example/x', ['pw12345']],
    ['https:/h.example/x?api_key=hunter2secret', ['hunter2secret']],
    ['hooks.example/services/T01/abcDEF123', ['abcDEF123']],
    ['hooks.example:8080/x?sig=abcDEF123', ['abcDEF123']],
  ])('has no secret part that is shown: %s', (address, secrets) => {
    for (const value of [address, { '@template': address }]) {
      const shown = JSON.stringify(showSecrets({ url: value }));
      for (const secret of secrets) expect(shown).not.toContain(secret);
      expect(findSecrets({ url: value })).toHaveLength(1);
    }
  });

  it.each([
    '{{properties.url}}',
    'https://{{ properties.host }}/v1/track',
    'api.eu.example.com',
    'eu-central-1',
    '{"a": 1}',
  ])('that has none is shown as it is: %s', (address) => {
    expect(showSecrets({ url: address })).toEqual({ url: address });
  });

  it('is no other text of a mapping', () => {
    const mapping = {
      data: { title: { '@template': '{{properties.category}}/Shoes2024' }, path: '$.context.page.path' },
    };
    expect(showSecrets(mapping)).toEqual(mapping);
  });
});
