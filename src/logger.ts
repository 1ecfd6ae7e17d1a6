import { pino, type Logger } from 'pino';

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
  });
}
