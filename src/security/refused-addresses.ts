import { lookup as resolve, type LookupAddress, type LookupOptions } from 'node:dns';
import { lookup as resolveAll } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** What net.connect and tls.connect call to resolve a name. */
type Lookup = (
  hostname: string,
  options: LookupOptions,
  callback: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
) => void;

/** An address that this installation does not send to. Its code survives the wrapping of HTTP clients. */
class AddressRefusedError extends Error {
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

/** Which addresses may be connected to. An address and port is `host:port`, with brackets around an IPv6 address. */
export interface AddressRules {
  /** On for a self-hosted network: then private, local and reserved addresses are no longer refused for what they are. */
  allowPrivateAddresses: boolean;
  /** Of those addresses, the ones that are allowed all the same, each with its port. */
  allowedAddresses?: readonly string[] | undefined;
  /** Refused whatever is allowed, each with its port: the engines. Asked at every connection to one of their ports. */
  refusedAddresses?: (() => readonly string[]) | undefined;
}

/** Decides by address and port, at the moment of connecting. */
export interface AddressPolicy {
  /** Whether this port has rules of its own: others are decided by the address alone. */
  isSpecialPort(port: number): boolean;
  /**
   * The error for a host that is a literal address to refuse; null for one that is not, and for a name, which is checked when it is
   * resolved. Takes an IPv6 literal with or without its brackets.
   */
  refuseLiteral(host: string, port: number): Promise<AddressRefusedError | null> | AddressRefusedError | null;
  /**
   * Resolves like dns.lookup, and gives an AddressRefusedError when any of the addresses is to be refused: a name with one
   * public and one private address is an attack or a mistake. The socket connects to what was checked here, so a name that
   * resolves to something else a moment later has no effect.
   */
  lookupFor(port: number): Lookup;
}

export function createAddressPolicy(rules: AddressRules): AddressPolicy {
  const allowed = (rules.allowedAddresses ?? []).map(parseAddress);
  const refused = (): HostAndPort[] => (rules.refusedAddresses?.() ?? []).map(parseAddress);

  async function isRefused(addresses: readonly string[], port: number): Promise<boolean> {
    const engines = await Promise.all(
      refused()
        .filter((one) => one.port === port)
        .map(addressesOf),
    );
    return addresses.some((address) => engines.some((engine) => engine(address)) || isRefusedByItself(address, port));
  }

  function isRefusedByItself(address: string, port: number): boolean {
    if (rules.allowPrivateAddresses || !isRefusedAddress(address)) return false;
    return !allowed.some((one) => one.port === port && one.host === address);
  }

  return {
    isSpecialPort: (port) => [...allowed, ...refused()].some((one) => one.port === port),
    refuseLiteral: (host, port) => {
      const bare = withoutBrackets(host);
      if (isIP(bare) === 0) return null;
      // Only an engine that is known by a name has to be resolved, and only for its own port.
      if (refused().some((one) => one.port === port)) {
        return isRefused([bare], port).then((is) => (is ? new AddressRefusedError(bare) : null));
      }
      return isRefusedByItself(bare, port) ? new AddressRefusedError(bare) : null;
    },
    lookupFor: (port) => (hostname, options, callback) => {
      resolve(hostname, { ...options, all: true }, (error, addresses) => {
        if (error !== null) {
          callback(error, []);
          return;
        }
        const decide = async (): Promise<void> => {
          let problem: Error | null = null;
          try {
            const all = addresses.map(({ address }) => address);
            if (await isRefused(all, port)) problem = new AddressRefusedError(hostname);
          } catch (failed) {
            problem = failed as Error;
          }
          const [first] = addresses;
          if (problem !== null || first === undefined) callback(problem ?? new AddressRefusedError(hostname), []);
          else if (options.all === true) callback(null, addresses);
          else callback(null, first.address, first.family);
        };
        void decide();
      });
    },
  };
}

interface HostAndPort {
  host: string;
  port: number;
}

/** Takes `127.0.0.1:9464`, `[::1]:9464` or `name:9464` apart. Port 0 where there is none, which is no port. */
function parseAddress(text: string): HostAndPort {
  const at = text.lastIndexOf(':');
  return { host: withoutBrackets(text.slice(0, at)).toLowerCase(), port: Number(text.slice(at + 1)) || 0 };
}

function withoutBrackets(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

/** Tells whether an address leads to this host. One that can't be resolved is nowhere, and nothing reaches it. */
async function addressesOf({ host }: HostAndPort): Promise<(address: string) => boolean> {
  const found = isIP(host) === 0 ? await resolveAll(host, { all: true }).catch(() => []) : [{ address: host }];
  const addresses = new Set(found.map(({ address }) => address));
  const isHere = [...addresses].some(isThisMachine);
  return (address) => addresses.has(address) || (isHere && isThisMachine(address));
}

/** Loopback in all its forms, the unspecified address, which leads there too, and the addresses of this machine's interfaces. */
function isThisMachine(address: string): boolean {
  const plain = /^::ffff:([\d.]+)$/i.exec(address)?.[1] ?? address;
  if (isIP(plain) === 4 && (plain.startsWith('127.') || plain === '0.0.0.0')) return true;
  if (/^::(1|ffff:(7f|0+:0*0$).*)?$/i.test(plain)) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some((one) => one.address === plain) === true);
}
