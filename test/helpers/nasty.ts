/**
 * Texts that break programs, by what is bad about them: what a hostile client sends and a hostile receiver answers. Each is a
 * string of JavaScript; `bytes` is where it matters that it is not valid UTF-8.
 */
export interface NastyText {
  name: string;
  text: string;
  /** Whether PostgreSQL's text and JSON can hold it as it is. */
  storable: boolean;
}

const MEGABYTE = 1_048_576;

export const NASTY_TEXTS: readonly NastyText[] = [
  { name: 'NUL', text: 'a\0b', storable: false },
  { name: 'NUL alone', text: '\0', storable: false },
  { name: 'half of a surrogate pair', text: 'a\ud800b', storable: false },
  { name: 'the other half', text: '\udc00', storable: false },
  { name: 'two halves the wrong way round', text: '\udc00\ud800', storable: false },
  { name: 'a NUL that is written as an escape', text: '\\u0000', storable: true },
  { name: 'half of a pair that is written as an escape', text: '\\ud800 \\\\ud800', storable: true },
  { name: 'a backslash at the end', text: 'a\\', storable: true },
  { name: 'a byte order mark', text: '\ufeffa', storable: true },
  { name: 'non-characters', text: '\uffff\ufffe', storable: true },
  { name: 'right to left', text: '\u202egnp.exe \u2066\u2069', storable: true },
  { name: 'control characters', text: '\u0001\u0007\u0008\u001b[31m\u007f\u0085\u2028', storable: true },
  { name: 'line ends', text: 'a\r\nSet-Cookie: b=c\r\n\r\n<h1>', storable: true },
  { name: 'HTML', text: '"><img src=x onerror=alert(1)></script><!--', storable: true },
  { name: 'a formula', text: '=HYPERLINK("http://evil.example","x")', storable: true },
  { name: 'SQL', text: "'; drop table tasks; --", storable: true },
  { name: 'a template', text: '{{ "x" | append: "y" }}${7*7}%s%n', storable: true },
  { name: '__proto__', text: '__proto__', storable: true },
  { name: 'constructor', text: 'constructor', storable: true },
  { name: 'an emoji of many parts', text: '👩‍👩‍👧‍👦'.repeat(40), storable: true },
  { name: 'combining marks', text: `Z${'\u0351'.repeat(2_000)}`, storable: true },
  { name: 'a number that is none', text: '1e400', storable: true },
  { name: 'a path', text: '../../../../etc/passwd', storable: true },
  { name: 'nothing', text: '', storable: true },
  { name: 'blanks', text: ' \t\u00a0\u3000', storable: true },
  { name: 'a megabyte', text: 'x'.repeat(MEGABYTE), storable: true },
  { name: 'many times NUL', text: '\0'.repeat(100_000), storable: false },
];

/** Bytes that are not UTF-8: each could be meant for a text, and becomes U+FFFD where nobody looks. */
export const NASTY_BYTES: readonly { name: string; bytes: Uint8Array }[] = [
  { name: 'a byte that begins nothing', bytes: Uint8Array.of(0xff) },
  { name: 'another', bytes: Uint8Array.of(0xfe) },
  { name: 'a continuation alone', bytes: Uint8Array.of(0x80) },
  { name: 'a sequence that is cut', bytes: Uint8Array.of(0xe2, 0x82) },
  { name: 'NUL in two bytes', bytes: Uint8Array.of(0xc0, 0x80) },
  { name: 'a slash in two bytes', bytes: Uint8Array.of(0xc0, 0xaf) },
  { name: 'the bytes of half a surrogate pair', bytes: Uint8Array.of(0xed, 0xa0, 0x80) },
  { name: 'beyond Unicode', bytes: Uint8Array.of(0xf5, 0x80, 0x80, 0x80) },
  { name: 'Latin-1', bytes: Uint8Array.of(0x4d, 0xfc, 0x6c, 0x6c, 0x65, 0x72) },
];

/** JSON texts that parsers and what comes after them stumble over. */
export const NASTY_JSON: readonly { name: string; json: string }[] = [
  { name: 'very deep lists', json: `${'['.repeat(50_000)}${']'.repeat(50_000)}` },
  { name: 'very deep objects', json: `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}` },
  { name: '__proto__', json: '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}' },
  { name: 'a number beyond all', json: '{"n":1e400}' },
  { name: 'a number of many digits', json: `{"n":${'9'.repeat(5_000)}}` },
  { name: 'a name twice', json: '{"name":"a","name":"b"}' },
  { name: 'NUL in a name', json: '{"a\\u0000b":1}' },
  { name: 'half a pair in a name', json: '{"a\\ud800":1}' },
  { name: 'a byte order mark', json: '\ufeff{}' },
  { name: 'null', json: 'null' },
  { name: 'a list', json: '[]' },
  { name: 'a text', json: '"a"' },
  { name: 'nothing', json: '' },
  { name: 'cut off', json: '{"a":' },
];
