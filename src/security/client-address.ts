import { BlockList, isIP } from 'node:net';
import { RequestError } from '../errors.ts';

/** Whose word is taken for where a request comes from: that of so many proxies in a row, or of those in a list of networks. */
export type TrustedProxies = { hops: number } | { networks: BlockList };

const MAX_HOPS = 10;
// A header has 16 KB at most; no honest chain of proxies is so long.
const MAX_ENTRIES = 100;

/**
 * Reads a setting such as `1` (proxies in front of this server) or `10.0.0.0/8, ::1` (the networks that they are in); undefined for `none`.
 * Throws RequestError `trust_proxy_invalid` with what is wrong.
 */
export function parseTrustedProxies(text: string): TrustedProxies | undefined {
  const setting = text.trim();
  if (setting === 'none') return undefined;
  if (/^\d+$/.test(setting)) {
    const hops = Number(setting);
    if (hops >= 1 && hops <= MAX_HOPS) return { hops };
    throw invalid(`a number of proxies is 1 to ${MAX_HOPS}; leave it away to trust none`);
  }
  const networks = new BlockList();
  for (const part of setting.split(',')) addNetwork(networks, part.trim());
  return { networks };
}

function addNetwork(networks: BlockList, text: string): void {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%') || rest.length > 0) {
    throw invalid(
      `"${text}" is neither a number of proxies nor a network such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32`,
    );
  }
  const bits = family === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (!(length >= 1 && length <= bits)) {
    throw invalid(
      length === 0
        ? `"${text}" is every address there is, and then anyone may say where they come from`
        : `the prefix of "${text}" is a number from 1 to ${bits}`,
    );
  }
  networks.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
}

function invalid(problem: string): RequestError {
  return new RequestError('invalid', 'trust_proxy_invalid', problem, { field: 'TRAILMARK_TRUST_PROXY' });
}

/**
 * Where a request comes from: the socket's other end, or, where that is a proxy to trust, what this one has written at the end of
 * X-Forwarded-For, and so on from right to left. What stands further left was written by whoever sent it, and proves nothing. An entry
 * that is no address ends the way: then it is the last proxy that counts. Undefined where there is no socket.
 */
export function clientAddress(
  socketAddress: string | undefined,
  forwardedFor: string | undefined,
  trusted: TrustedProxies | undefined,
): string | undefined {
  const direct = readAddress(socketAddress ?? '');
  if (direct === null || trusted === undefined || forwardedFor === undefined) return direct ?? undefined;
  let address = direct;
  const entries = forwardedFor.split(',').slice(-MAX_ENTRIES);
  for (let passed = 0; isTrusted(trusted, address, passed); passed += 1) {
    const before = readAddress(entries.pop() ?? '');
    if (before === null) break;
    address = before;
  }
  return address;
}

function isTrusted(trusted: TrustedProxies, address: string, passed: number): boolean {
  if ('hops' in trusted) return passed < trusted.hops;
  return trusted.networks.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/**
 * One form for each address: without port, brackets and zone, an IPv4 address that is mapped into IPv6 as itself, IPv6 compressed and in
 * lower case. Null for what is no address, such as `unknown` or a name.
 */
export function readAddress(text: string): string | null {
  const trimmed = text.trim().replace(/^"(.*)"$/, '$1');
  const host = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(trimmed)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(trimmed)?.[1] ?? trimmed;
  const [address = ''] = host.split('%', 1);
  switch (isIP(address)) {
    case 4:
      return address;
    case 6: {
      const compressed = new URL(`http://[${address}]`).hostname.slice(1, -1);
      return unmapped(compressed) ?? compressed;
    }
    default:
      return null;
  }
}

function unmapped(compressed: string): string | null {
  const found = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(compressed);
  if (found === null) return null;
  return [found[1], found[2]]
    .flatMap((group) => {
      const value = Number.parseInt(group ?? '', 16);
      return [value >> 8, value & 0xff];
    })
    .join('.');
}

/** What one subscriber has at the least: an IPv4 address, or an IPv6 network of 64 bits, whose addresses cost them nothing. */
export function addressBlock(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const behind = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - groups.length - behind.length }, () => '0');
  return `${[...groups, ...zeros, ...behind].slice(0, 4).join(':')}::/64`;
}
