import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Of a processor that others want too, a thread of this niceness has a seventieth. */
const STEPPED_BACK = 19;

/**
 * How long a thread has been on a processor since it began, in milliseconds; null where the operating system does not tell (it is no
 * Linux, or the thread has ended). `systemId` is the thread's there.
 */
export function processorMs(systemId: number | null): number | null {
  if (systemId === null) return null;
  try {
    const [nanoseconds] = readFileSync(`/proc/self/task/${systemId}/schedstat`, 'utf8').split(' ');
    const ms = Number(nanoseconds) / 1e6;
    return Number.isFinite(ms) ? ms : null;
  } catch {
    return null;
  }
}

/** Leaves a thread little of the processors where others want them. It can't be taken back without rights that the program should not have. */
export function stepBack(systemId: number | null): void {
  if (systemId === null) return;
  try {
    setPriority(systemId, STEPPED_BACK);
  } catch {
    // It has ended meanwhile.
  }
}
