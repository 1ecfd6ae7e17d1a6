/**
 * Reads what was thrown, without trusting it: anything can be thrown, a getter may throw in turn, and causes may go round.
 * What classifies errors reads them through here, so that looking at a failure never is one.
 */

/** One error of those that a thrown value is made of. */
export interface Thrown {
  /** '' where it has none. */
  name: string;
  message: string;
  /** Node's, a database's or a library's; numbers as text. '' where it has none. */
  code: string;
  value: unknown;
}

// More than anybody wraps.
const MAX_PARTS = 32;

/** What was thrown, then its causes and the errors that it gathers, each once. The first one is always there. */
export function readThrown(error: unknown): [Thrown, ...Thrown[]] {
  const first = readOne(error);
  const parts: [Thrown, ...Thrown[]] = [first];
  const seen = new Set([error]);
  for (let at = 0; at < parts.length && parts.length < MAX_PARTS; at++) {
    const value = parts[at]?.value;
    const gathered = property(value, 'errors');
    for (const next of [property(value, 'cause'), ...(Array.isArray(gathered) ? gathered.slice(0, MAX_PARTS) : [])]) {
      if (typeof next !== 'object' || next === null || seen.has(next)) continue;
      seen.add(next);
      parts.push(readOne(next));
    }
  }
  return parts;
}

/** A property of anything; undefined where it has none, or does not let itself be read. */
export function property(value: unknown, key: string): unknown {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return undefined;
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

/** `Name: message`, with the messages of what an error gathers where it has none of its own. For those who operate Trailmark. */
export function describeThrown(error: unknown): string {
  const [first, ...others] = readThrown(error);
  const message = first.message === '' ? others.map((other) => other.message).join('; ') : first.message;
  return first.name === '' ? message : `${first.name}: ${message}`;
}

// Of the system under Node: open files, memory, disk, ports.
const EXHAUSTED = new Set([
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'ENOSPC',
  'EDQUOT',
  'EADDRNOTAVAIL',
  'ERR_WORKER_OUT_OF_MEMORY',
]);

/** Whether this process has run out of something: then it is not the other side's fault. */
export function isExhausted(parts: readonly Thrown[]): boolean {
  return parts.some(
    ({ name, message, code }) => EXHAUSTED.has(code) || (name === 'RangeError' && /allocation failed/i.test(message)),
  );
}

function readOne(value: unknown): Thrown {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
    return { name: '', message: String(value), code: '', value };
  }
  return {
    name: text(property(value, 'name')),
    message: text(property(value, 'message')),
    code: text(property(value, 'code')),
    value,
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}
