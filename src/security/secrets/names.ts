/**
 * What the name of a field says of its value: that it is a secret, that it holds HTTP headers, or that it is an address, which
 * says where secrets are sent. Names are taken apart into words, so `apiKey`, `API-Key` and `x_api_key` are one name.
 */

// A value under one of these is a secret wherever in the name it is said.
const SECRET_WORDS = new Set([
  'apikey',
  'apikeys',
  'apisecret',
  'apitoken',
  'authkey',
  'authorisation',
  'authorization',
  'authtoken',
  'bearer',
  'cookie',
  'cookies',
  'credential',
  'creds',
  'credentials',
  'hmac',
  'jwt',
  'passcode',
  'passphrase',
  'passwd',
  'password',
  'passwords',
  'privatekey',
  'psk',
  'pwd',
  'sas',
  'secret',
  'secretkey',
  'secrets',
  'signature',
  'token',
  'tokenid',
  'tokens',
]);

// Only where the name ends with it: `auth`, but not `auth type`.
const SECRET_LAST_WORDS = new Set([
  'auth',
  'authentication',
  'pass',
  'key',
  'keys',
  'pat',
  'pin',
  'sig',
  'hook',
  'webhook',
]);

// `access key id` says whose key it is, and is kept as one.
const KEYS_OF = new Set([
  'access',
  'account',
  'admin',
  'api',
  'app',
  'auth',
  'client',
  'connection',
  'deploy',
  'encryption',
  'integration',
  'license',
  'master',
  'private',
  'secret',
  'server',
  'service',
  'session',
  'shared',
  'signing',
  'ssh',
  'ssl',
  'subscription',
  'write',
]);

// What is called a key and names a thing: the key of an audience, a column, a partition.
const NAMING_KEYS = new Set([
  'additional',
  'and',
  'audience',
  'batch',
  'cache',
  'column',
  'company',
  'computation',
  'contact',
  'context',
  'custom',
  'data',
  'dedup',
  'event',
  'extension',
  'external',
  'field',
  'foreign',
  'group',
  'id',
  'idempotency',
  'item',
  'lookup',
  'match',
  'merge',
  'object',
  'partition',
  'previous',
  'primary',
  'profile',
  'property',
  'public',
  'publishable',
  'record',
  'row',
  'sort',
  'stream',
  'subscriber',
  'trait',
  'unique',
  'user',
]);

// After a secret's word these say something about it: `token type`, `refresh token url`.
const ABOUT = new Set([
  'algorithm',
  'column',
  'count',
  'enabled',
  'endpoint',
  'expires',
  'expiry',
  'field',
  'format',
  'header',
  'identity',
  'length',
  'location',
  'method',
  'name',
  'path',
  'prefix',
  'property',
  'region',
  'scheme',
  'type',
  'uri',
  'url',
]);

const ADDRESS_WORDS = new Set([
  'baseurl',
  'broker',
  'brokers',
  'cluster',
  'datacenter',
  'dc',
  'deployment',
  'domain',
  'endpoint',
  'environment',
  'env',
  'hook',
  'host',
  'hostname',
  'instance',
  'origin',
  'pod',
  'proxy',
  'region',
  'server',
  'servers',
  'stack',
  'subdomain',
  'uri',
  'url',
  'urls',
  'webhook',
]);

// Addresses that nothing is sent to, but that are sent.
const CONTENT = new Set([
  'avatar',
  'contact',
  'current',
  'event',
  'homepage',
  'icon',
  'image',
  'link',
  'logo',
  'media',
  'page',
  'photo',
  'picture',
  'product',
  'recording',
  'redirect',
  'referrer',
  'session',
  'source',
]);

// Headers that say nothing about who asks.
const HARMLESS_HEADERS = new Set([
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'connection',
  'content-encoding',
  'content-language',
  'content-type',
  'user-agent',
]);

/** The words of a name, in small letters: of `iamExternalId` iam, external, id. */
function wordsOf(name: string): string[] {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .flatMap((word) => (word === '' ? [] : [word.replace(/(?<=[a-z]{3})\d+$/, '')]));
}

/** Whether a value of this name is a secret. */
export function isSecretName(name: string): boolean {
  const words = wordsOf(name);
  const last = words.at(-1) ?? '';
  if (words.length > 1 && ABOUT.has(last)) return false;
  if (words.some((word) => SECRET_WORDS.has(word))) return true;
  const isKeyOf = words.some((word, at) => /^keys?$/.test(word) && KEYS_OF.has(words[at - 1] ?? ''));
  if (isKeyOf) return !words.includes('public');
  if (!SECRET_LAST_WORDS.has(last)) return false;
  return !/^keys?$/.test(last) || !words.some((word) => NAMING_KEYS.has(word));
}

/** Whether a value of this name holds HTTP headers: all of them are secrets but those that say nothing about who asks. */
export function isHeadersName(name: string): boolean {
  return /^headers?$/.test(wordsOf(name).at(-1) ?? '');
}

export function isHarmlessHeader(name: string): boolean {
  return HARMLESS_HEADERS.has(name.trim().toLowerCase());
}

/** Whether a value of this name says where something is sent: a URL, a host, or what one is made of, as a region. */
export function isAddressName(name: string): boolean {
  const words = wordsOf(name);
  if (words.some((word) => CONTENT.has(word))) return false;
  return words.some((word, at) => ADDRESS_WORDS.has(word) || (word === 'center' && words[at - 1] === 'data'));
}
