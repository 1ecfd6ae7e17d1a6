import type { FailureCode } from '../../errors.ts';
import { property, type Thrown } from '../../thrown.ts';

// Of Node, undici, node-fetch 2 (actions-core's fetch) and actions-core's own request client.
const TIMEOUTS = new Set([
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'ECONNABORTED',
  'ERR_SOCKET_CONNECTION_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'REQUESTCLIENTERROR',
  'REQUESTTIMEOUTERROR',
  'SELF_TIMEOUT',
]);
const TIMEOUT_TYPES = new Set<unknown>(['request-timeout', 'body-timeout']);
// A DeadlineError is callCore's.
const TIMEOUT_NAMES = new Set(['AbortError', 'TimeoutError', 'DeadlineError']);

// The name servers say that there is no such name. EAI_AGAIN is another thing: they do not answer.
const NAMES = new Set(['ENOTFOUND', 'ENODATA', 'EAI_NONAME', 'EAI_NODATA']);

// https://nodejs.org/api/tls.html#x509-certificate-error-codes, and those of the check of the host's name.
const CERTIFICATES =
  /^(CERT_|CRL_|ERR_TLS_CERT_|ERROR_IN_C|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH$|INVALID_(CA|PURPOSE)$|PATH_LENGTH_EXCEEDED$)/;

// llhttp, zlib, brotli, and limits.
const ANSWERS = /^(HPE_|Z_|ERR__ERROR_|ERR_BROTLI|UND_ERR_(RESPONSE|RES_|HEADERS_OVERFLOW|HTTP_PARSER))/;
const ANSWER_TYPES = new Set<unknown>(['max-size', 'invalid-json']);

const REDIRECT_TYPES = new Set<unknown>(['no-redirect', 'max-redirect', 'invalid-redirect', 'unsupported-redirect']);

const NETWORK = /^(E[A-Z0-9]{3,}|EAI_[A-Z]+|ERR_(SSL|TLS|SOCKET|STREAM|HTTP2?)_[A-Z0-9_]+|UND_ERR_[A-Z_]+)$/;

/** The failure that an error of the network is; null for one that is none. */
export function networkFailure(parts: readonly Thrown[]): { failure: FailureCode; detail: string } | null {
  for (const { name, code, value } of parts) {
    const type = property(value, 'type');
    const failure = failureOf(name, code, type);
    if (failure !== null) return { failure, detail: code === '' ? name : code };
  }
  return null;
}

function failureOf(name: string, code: string, type: unknown): FailureCode | null {
  if (TIMEOUTS.has(code) || TIMEOUT_TYPES.has(type) || TIMEOUT_NAMES.has(name)) return 'destination_timeout';
  if (NAMES.has(code)) return 'destination_name_unknown';
  if (CERTIFICATES.test(code)) return 'destination_certificate_invalid';
  if (ANSWERS.test(code) || ANSWER_TYPES.has(type)) return 'destination_answer_invalid';
  if (REDIRECT_TYPES.has(type)) return 'destination_redirected';
  return NETWORK.test(code) || type === 'system' ? 'destination_unreachable' : null;
}

/** Whether an error says that a request could not be made at all: an address that is none, a header that can't be sent. */
export function isUnsendable(parts: readonly Thrown[]): boolean {
  return parts.some(
    ({ code, message }) =>
      /^ERR_(INVALID_URL|INVALID_PROTOCOL|UNESCAPED_CHARACTERS|INVALID_CHAR|INVALID_HTTP_TOKEN|HTTP_INVALID_HEADER_VALUE)$/.test(
        code,
      ) || /^Only (absolute URLs|HTTP\(S\) protocols) are supported/.test(message),
  );
}
