import { lookup as resolve, type LookupAddress, type LookupOptions } from 'node:dns';
import { BlockList, isIP } from 'node:net';

/** What net.connect and tls.connect call to resolve a name. */
export type Lookup = (
  hostname: string,
  options: LookupOptions,
  callback: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
) => void;

/** An address that this installation does not send to. Its code survives the wrapping of HTTP clients. */
export class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError';
  readonly code = 'ERR_ADDRESS_REFUSED';
  readonly hostname: string;

  constructor(hostname: string) {
    super(`${hostname} is, or resolves to, an address that is private, local or reserved`);
    this.hostname = hostname;
  }
}

// IANA's IPv4 special-purpose registry: all that is not a public unicast address.
const SPECIAL_IPV4 = [
  '0.0.0.0/8', // this host, unspecified
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, and the metadata services of the clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarking
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, broadcast
];

// Of IPv6 only global unicast (2000::/3) is public. That alone refuses loopback, unspecified, IPv4-mapped, NAT64 (64:ff9b::/96
// and 64:ff9b:1::/48), unique local, link-local, site-local and multicast. Inside 2000::/3 these are not public either:
const GLOBAL_UNICAST_IPV6 = '2000::/3';
const SPECIAL_IPV6 = [
  '2001::/23', // protocol assignments, Teredo among them
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: has an IPv4 address inside
  '3fff::/20', // documentation
];

const specialIpv4 = blockList(SPECIAL_IPV4, 'ipv4');
const globalUnicastIpv6 = blockList([GLOBAL_UNICAST_IPV6], 'ipv6');
const specialIpv6 = blockList(SPECIAL_IPV6, 'ipv6');

function blockList(ranges: string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** Whether an IP address (not a name) is anything but a public unicast one. What is no IP address at all counts as refused. */
export function isRefusedAddress(address: string): boolean {
  // A zone (fe80::1%eth0) only exists on addresses that are local to a link.
  switch (isIP(address)) {
    case 4:
      return specialIpv4.check(address, 'ipv4');
    case 6:
      return address.includes('%') || !globalUnicastIpv6.check(address, 'ipv6') || specialIpv6.check(address, 'ipv6');
    default:
      return true;
  }
}

/**
 * The error for a host that is a literal address to refuse; null for a public one, and for a name, which is checked when it
 * is resolved. Takes an IPv6 literal with or without its brackets.
 */
export function refuseLiteral(host: string): AddressRefusedError | null {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  return isIP(bare) !== 0 && isRefusedAddress(bare) ? new AddressRefusedError(bare) : null;
}

/**
 * Resolves like dns.lookup, and gives an AddressRefusedError when any of the addresses is to be refused: a name with one
 * public and one private address is an attack or a mistake. The socket connects to what was checked here, so a name that
 * resolves to something else a moment later has no effect.
 */
export const checkedLookup: Lookup = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) {
      callback(error, []);
      return;
    }
    const [first] = addresses;
    if (first === undefined || addresses.some(({ address }) => isRefusedAddress(address))) {
      callback(new AddressRefusedError(hostname), []);
    } else if (options.all === true) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
};
