import fc from 'fast-check';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { classifyError, classifyStatus, OwnError, RefreshError } from '../../src/destinations/actions-core/classify.ts';
import { isFailureCode, TaskFailure } from '../../src/errors.ts';

const context = { signal: undefined, redact: (text: string) => text.replaceAll('hush', '***') };

/** What an error means, in a word: the code of the failure, `refused` with its status, or `aborted`. */
function meaningOf(error: unknown): string {
  const classified = classifyError(error, context);
  if (classified.kind === 'refused') return `refused ${classified.httpStatus}`;
  return 'failure' in classified ? classified.failure.code : classified.kind;
}

function errorWith(properties: object, name = 'Error', message = 'on purpose'): Error {
  return Object.assign(new Error(message), { name, ...properties });
}

/** As node-fetch throws what its socket said. */
function fetchError(code: string): Error {
  return errorWith({ type: 'system', code, errno: code }, 'FetchError', `request to http://hush/ failed: ${code}`);
}

describe('an HTTP status', () => {
  const meanings = new Map<number, string>();
  for (let status = 300; status < 600; status += 1) {
    const classified = classifyStatus(status, '', null);
    meanings.set(status, 'failure' in classified ? classified.failure.code : classified.kind);
  }
  const statusesOf = (meaning: string): number[] =>
    [...meanings].flatMap(([status, one]) => (one === meaning ? [status] : []));

  it.each([
    ['destination_redirected', [301, 302, 303, 307, 308]],
    ['destination_credentials_rejected', [401, 403]],
    ['destination_timeout', [408]],
    ['destination_rate_limited', [429]],
  ])('means %s: %j', (meaning, statuses) => {
    expect(statusesOf(meaning)).toEqual(statuses);
  });

  it('is transient where actions-core’s RetryableError takes it, and for 425, 499 and 5xx it does not name', () => {
    const retryable = [408, 423, 429, 500, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511, 598, 599];
    for (const status of [...retryable, 425, 499, 521, 529]) {
      expect(meanings.get(status), String(status)).toMatch(/^destination_(unavailable|timeout|rate_limited)$/);
    }
    expect(statusesOf('destination_unavailable')).toHaveLength(3 + 99);
  });

  it('refuses what was sent in every other case, also where the action is not implemented', () => {
    for (const status of [300, 304, 400, 402, 404, 405, 409, 410, 413, 422, 431, 451, 501]) {
      expect(meanings.get(status), String(status)).toBe('refused');
    }
    expect(new Set(meanings.values()).size).toBe(6);
  });

  it('of a destination that asks to be left alone carries for how long', () => {
    for (const [status, retryAfter, waitMs] of [
      [429, '7200', 7_200_000],
      [503, '30', 30_000],
      [429, null, undefined],
    ] as const) {
      const classified = classifyStatus(status, '', retryAfter);
      expect(classified).toMatchObject({ kind: 'rate_limited', failure: { code: 'destination_rate_limited' } });
      expect(classified.kind === 'rate_limited' && classified.failure.retryAfterMs).toBe(waitMs);
    }
    expect(classifyStatus(503, '', 'soon')).toMatchObject({ kind: 'failed' });
  });
});

describe('an error of the network', () => {
  it.each([
    ['destination_name_unknown', ['ENOTFOUND', 'ENODATA', 'EAI_NODATA']],
    [
      'destination_unreachable',
      [
        'EAI_AGAIN',
        'EAI_FAIL',
        'ECONNREFUSED',
        'ECONNRESET',
        'EPIPE',
        'EHOSTUNREACH',
        'ENETUNREACH',
        'EPROTO',
        'ERR_SSL_WRONG_VERSION_NUMBER',
        'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
        'ERR_TLS_HANDSHAKE_TIMEOUT',
        'ERR_STREAM_PREMATURE_CLOSE',
        'ERR_HTTP2_GOAWAY_SESSION',
        'UND_ERR_SOCKET',
        'UND_ERR_CLOSED',
      ],
    ],
    [
      'destination_certificate_invalid',
      [
        'CERT_HAS_EXPIRED',
        'CERT_NOT_YET_VALID',
        'CERT_REVOKED',
        'CERT_UNTRUSTED',
        'CERT_CHAIN_TOO_LONG',
        'CRL_HAS_EXPIRED',
        'DEPTH_ZERO_SELF_SIGNED_CERT',
        'SELF_SIGNED_CERT_IN_CHAIN',
        'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
        'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
        'ERROR_IN_CERT_NOT_AFTER_FIELD',
        'ERR_TLS_CERT_ALTNAME_INVALID',
        'HOSTNAME_MISMATCH',
        'INVALID_CA',
      ],
    ],
    [
      'destination_timeout',
      ['ETIMEDOUT', 'ESOCKETTIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'],
    ],
    [
      'destination_answer_invalid',
      ['HPE_INVALID_CONSTANT', 'HPE_HEADER_OVERFLOW', 'Z_DATA_ERROR', 'UND_ERR_RES_EXCEEDED_MAX_SIZE'],
    ],
    ['worker_exhausted', ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']],
    ['destination_address_refused', ['ERR_ADDRESS_REFUSED']],
    ['refused null', ['ERR_INVALID_URL', 'ERR_INVALID_CHAR', 'ERR_UNESCAPED_CHARACTERS']],
  ])('means %s', (meaning, codes) => {
    for (const code of codes) {
      expect(meaningOf(fetchError(code)), code).toBe(meaning);
      // undici's fetch has it in the cause, Node's of several addresses in what it gathers.
      expect(meaningOf(new TypeError('fetch failed', { cause: fetchError(code) })), code).toBe(meaning);
      const gathered = Object.assign(new AggregateError([fetchError(code), fetchError(code)]), { code });
      expect(meaningOf(gathered), code).toBe(meaning);
    }
  });

  it.each(['template render limit exceeded', 'memory alloc limit exceeded, line:1, col:1'])(
    'of a template’s own limits means destination_code_overran: %s',
    (message) => {
      const error = Object.assign(new Error(message), { name: 'AssertionError' });
      expect(meaningOf(error)).toBe('destination_code_overran');
    },
  );

  it.each([
    ['destination_timeout', { type: 'request-timeout' }],
    ['destination_timeout', { type: 'body-timeout' }],
    ['destination_answer_invalid', { type: 'max-size' }],
    ['destination_answer_invalid', { type: 'invalid-json' }],
    ['destination_redirected', { type: 'no-redirect' }],
    ['destination_unreachable', { type: 'system' }],
  ])('of node-fetch’s own means %s: %j', (meaning, properties) => {
    expect(meaningOf(errorWith(properties, 'FetchError'))).toBe(meaning);
  });

  it('shows no address', () => {
    for (const code of ['ECONNRESET', 'ENOTFOUND', 'CERT_HAS_EXPIRED', 'ETIMEDOUT', 'EMFILE', 'Z_DATA_ERROR']) {
      const classified = classifyError(fetchError(code), context);
      expect(JSON.stringify(classified)).not.toMatch(/hush|http/);
    }
  });
});

describe('an error of actions-core', () => {
  // Its own classes, as destinations throw them.
  const core = createRequire(import.meta.url)('@segment/actions-core') as Record<
    string,
    new (...options: unknown[]) => Error
  >;
  const make = (name: string, ...options: unknown[]): Error => {
    const ErrorClass = core[name];
    if (ErrorClass === undefined) throw new Error(`actions-core has no ${name}`);
    return new ErrorClass(...options);
  };

  it.each([
    ['RetryableError', ['wait'], 'destination_unavailable'],
    ['RetryableError', ['slow down', 429], 'destination_rate_limited'],
    ['RetryableError', ['locked', 423], 'destination_unavailable'],
    ['InvalidAuthenticationError', ['who are you'], 'destination_credentials_rejected'],
    ['InvalidAuthenticationError', ['expired', 'REFRESH_TOKEN_EXPIRED'], 'destination_credentials_expired'],
    ['InvalidAuthenticationError', ['no token', 'OAUTH_REFRESH_FAILED'], 'destination_credentials_expired'],
    ['PayloadValidationError', ['no e-mail'], 'refused 400'],
    ['InvalidAudienceMembershipError', ['neither in nor out'], 'refused 400'],
    ['APIError', ['gone', 410], 'refused 410'],
    ['APIError', ['down', 502], 'destination_unavailable'],
    ['SelfTimeoutError', ['too slow'], 'destination_timeout'],
    ['RequestTimeoutError', [], 'destination_timeout'],
    ['IntegrationError', ['no batches', 'NotImplemented', 501], 'refused 501'],
    ['IntegrationError', ['several', 'Multiple Records Found', 300], 'refused 300'],
    ['IntegrationError', ['says nothing', 'ODD', undefined], 'unknown'],
  ] as const)('%s %j means %s', (name, options, meaning) => {
    expect(meaningOf(make(name, ...options))).toBe(meaning);
  });

  it('of a check refuses what was sent', () => {
    expect(meaningOf(errorWith({ status: 400 }, 'AggregateAjvError'))).toBe('refused null');
    expect(meaningOf(errorWith({}, 'ValidationError'))).toBe('refused null');
  });

  it('of a mapping means the settings', () => {
    expect(meaningOf(new AggregateError([new Error('no directive')], 'bad mapping'))).toBe(
      'destination_settings_invalid',
    );
  });

  it('by an SDK of AWS is told by its metadata, where throttling is a 400', () => {
    expect(meaningOf(errorWith({ $metadata: { httpStatusCode: 503 } }))).toBe('destination_unavailable');
    const throttled = { $metadata: { httpStatusCode: 400 }, $retryable: { throttling: true } };
    expect(meaningOf(errorWith(throttled, 'ThrottlingException'))).toBe('destination_rate_limited');
  });

  it('carries what the answer said, secrets taken out', () => {
    const response = {
      status: 422,
      statusText: 'Unprocessable',
      content: 'no such list: hush',
      headers: new Headers(),
    };
    expect(classifyError(errorWith({ response }, 'HTTPError'), context)).toEqual({
      kind: 'refused',
      httpStatus: 422,
      reason: '422 Unprocessable: no such list: ***',
    });
  });

  it('is nothing where the caller aborted', () => {
    const aborted = { ...context, signal: AbortSignal.abort() };
    expect(classifyError(new Error('x'), aborted)).toEqual({ kind: 'aborted' });
  });

  it('that nobody knows is unknown', () => {
    for (const error of [new TypeError('x is undefined'), 'a string', undefined, null, 7, {}]) {
      expect(meaningOf(error)).toBe('unknown');
    }
  });
});

describe('an error of our own in the middle of a call', () => {
  it('means our store, and not the destination', () => {
    const cause = Object.assign(new Error('terminating'), { severity: 'FATAL', code: '57P01' });
    expect(meaningOf(new OwnError('not kept', { cause }))).toBe('postgres_unavailable');
    expect(meaningOf(new OwnError('not kept', { cause: new Error('odd') }))).toBe('unknown');
    expect(meaningOf(new TaskFailure('destination_missing', 'gone'))).toBe('destination_missing');
  });
});

describe('tokens that were not renewed', () => {
  const http = (status: number): Error => errorWith({ response: { status, headers: new Headers() } }, 'HTTPError');
  const expired = errorWith({ status: 401, code: 'OAUTH_REFRESH_FAILED' }, 'IntegrationError');
  it.each([
    ['destination_credentials_expired', http(400), http(400)],
    ['destination_credentials_expired', http(401), http(401)],
    ['destination_credentials_expired', expired, http(400)],
    ['destination_credentials_expired', expired, undefined],
    // The definition says "expired" for whatever it was: the request says more.
    ['destination_unavailable', expired, http(503)],
    ['destination_rate_limited', expired, http(429)],
    ['destination_unreachable', expired, fetchError('ECONNRESET')],
    ['destination_timeout', fetchError('ETIMEDOUT'), undefined],
    ['unknown', new TypeError('data is undefined'), undefined],
  ])('mean %s', (meaning, cause, requestError) => {
    expect(meaningOf(new RefreshError(cause, requestError))).toBe(meaning);
  });
});

it('whatever was thrown has a meaning', () => {
  const thrown = fc.oneof(
    fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }),
    fc
      .record(
        {
          name: fc.anything(),
          message: fc.anything(),
          code: fc.anything(),
          type: fc.anything(),
          status: fc.oneof(fc.integer(), fc.anything()),
          response: fc.oneof(fc.anything(), fc.record({ status: fc.anything(), headers: fc.anything() })),
          cause: fc.anything(),
          errors: fc.anything(),
        },
        { requiredKeys: [] },
      )
      .map((properties) => Object.assign(new Error('x'), properties)),
  );
  fc.assert(
    fc.property(thrown, (error) => {
      const classified = classifyError(error, context);
      if (classified.kind === 'refused') expect(typeof classified.reason).toBe('string');
      else expect('failure' in classified && isFailureCode(classified.failure.code)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});
