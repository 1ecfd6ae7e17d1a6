import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { addressBlock, clientAddress, parseTrustedProxies, readAddress } from '../../src/security/index.ts';

const trust = (setting: string): ReturnType<typeof parseTrustedProxies> => parseTrustedProxies(setting);

describe('the address of a request', () => {
  it.each([
    // whoever is not trusted may write what they like
    ['none', '192.0.2.1', '198.51.100.9', '192.0.2.1'],
    ['10.0.0.0/8', '192.0.2.1', '198.51.100.9', '192.0.2.1'],
    // hops: so many from the right, whatever stands further left
    ['1', '10.0.0.1', '198.51.100.9', '198.51.100.9'],
    ['1', '10.0.0.1', '203.0.113.66, 198.51.100.9', '198.51.100.9'],
    ['2', '10.0.0.1', '203.0.113.66, 198.51.100.9, 10.0.0.2', '198.51.100.9'],
    ['2', '10.0.0.1', '198.51.100.9', '198.51.100.9'],
    ['1', '10.0.0.1', undefined, '10.0.0.1'],
    ['1', '10.0.0.1', '', '10.0.0.1'],
    // networks: from right to left as long as it is one of ours
    ['10.0.0.0/8, fd00::/8', '10.0.0.1', '203.0.113.66, 198.51.100.9,fd00::7 ,10.9.9.9', '198.51.100.9'],
    ['10.0.0.0/8', '10.0.0.1', '10.0.0.2, 10.0.0.3', '10.0.0.2'],
    ['127.0.0.1', '::ffff:127.0.0.1', '2001:DB8::1', '2001:db8::1'],
    ['::1', '0:0:0:0:0:0:0:1', '198.51.100.9', '198.51.100.9'],
    // as proxies write them
    ['1', '10.0.0.1', '198.51.100.9:51234', '198.51.100.9'],
    ['1', '10.0.0.1', '[2001:db8::1]:443', '2001:db8::1'],
    ['1', '10.0.0.1', '"[2001:db8:0:0::1]"', '2001:db8::1'],
    ['1', '10.0.0.1', 'fe80::1%eth0', 'fe80::1'],
    ['1', '10.0.0.1', '::ffff:c633:6409', '198.51.100.9'],
    // what is no address ends the way, and what is behind it counts for nothing
    ['10.0.0.0/8', '10.0.0.1', '198.51.100.9, unknown, 10.0.0.2', '10.0.0.2'],
    ['1', '10.0.0.1', '198.51.100.9, _hidden', '10.0.0.1'],
    ['1', '10.0.0.1', '198.51.100.9, ', '10.0.0.1'],
    ['1', '10.0.0.1', 'example.com', '10.0.0.1'],
    ['1', '10.0.0.1', '1.2.3.4.5', '10.0.0.1'],
  ] as const)('with %s trusted, from %s with X-Forwarded-For %s, is %s', (setting, socket, header, address) => {
    expect(clientAddress(socket, header, trust(setting))).toBe(address);
  });

  it('is never what was sent further left, whatever that is', () => {
    const anything = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(fc.array(anything), fc.ipV4(), (sent, client) => {
        const header = [...sent, client].join(',');
        expect(clientAddress('10.0.0.1', header, trust('1'))).toBe(client);
        fc.pre(!client.startsWith('10.'));
        expect(clientAddress('10.0.0.1', `${header}, 10.3.3.3`, trust('10.0.0.0/8'))).toBe(client);
      }),
    );
  });

  it('has one form, however it is written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        const once = readAddress(address);
        expect(once).not.toBeNull();
        expect(readAddress(once ?? '')).toBe(once);
        expect(readAddress(address.toUpperCase())).toBe(once);
        if (address.includes(':')) expect(readAddress(`[${address}]:80`)).toBe(once);
      }),
    );
  });

  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ])('%s belongs to whoever has %s', (address, block) => {
    expect(addressBlock(address)).toBe(block);
  });
});

describe('TRAILMARK_TRUST_PROXY', () => {
  it('is not set, none, a number, or networks', () => {
    expect(readConfig({}).TRAILMARK_TRUST_PROXY).toBeUndefined();
    expect(readConfig({ TRAILMARK_TRUST_PROXY: 'none' }).TRAILMARK_TRUST_PROXY).toBeUndefined();
    expect(readConfig({ TRAILMARK_TRUST_PROXY: ' 2 ' }).TRAILMARK_TRUST_PROXY).toEqual({ hops: 2 });
    expect(readConfig({ TRAILMARK_TRUST_PROXY: '10.0.0.0/8,::1' }).TRAILMARK_TRUST_PROXY).toHaveProperty('networks');
  });

  it.each([
    'yes',
    'true',
    '0',
    '-1',
    '1.5',
    '11',
    '10.0.0.0/33',
    '::1/129',
    '10.0.0/8',
    '300.1.1.1',
    '10.0.0.0/8,',
    '10.0.0.0/8,,::1',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    'proxy.example.com',
    'fe80::1%eth0',
    '0.0.0.0/0',
    '::/0',
  ])('is refused as %s, by name', (TRAILMARK_TRUST_PROXY) => {
    expect(() => readConfig({ TRAILMARK_TRUST_PROXY })).toThrow(/TRAILMARK_TRUST_PROXY: /);
  });
});
