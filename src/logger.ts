import { pino, type Logger } from 'pino';
import { maskText } from './security/index.ts';
import { readThrown } from './thrown.ts';

export type { Logger };

// A trait's value and a secret never reach a log, whoever forgets.
const REDACTED = [
  'settings',
  'traits',
  'properties',
  'password',
  'secret',
  'token',
  'writeKey',
  '*.settings',
  '*.traits',
  '*.properties',
  '*.password',
  '*.secret',
  '*.token',
  '*.writeKey',
  'req.headers.authorization',
];

/** The process's logger: JSON lines on stdout, object first. Give it task, attempt and workspace ids, never a trait's value. */
export function createLogger(options: { level: string; program: string }): Logger {
  return pino({
    level: options.level,
    base: { program: options.program },
    redact: { paths: REDACTED, censor: '[redacted]' },
    serializers: { err: describeError, error: describeError },
  });
}

/**
 * An error as it is logged: what it and its causes are called and say, and where they came from. What else hangs on an error of an
 * HTTP client (the request with its headers, say) is left out, and what looks like a secret is masked.
 */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? maskText(error) : error;
  const [first, ...causes] = readThrown(error);
  const shown = ({ name, message, code }: typeof first) => ({
    type: name,
    message: maskText(message),
    ...(code === '' ? {} : { code }),
  });
  return {
    ...shown(first),
    stack: maskText(error.stack ?? ''),
    ...(causes.length === 0 ? {} : { causes: causes.map(shown) }),
  };
}
