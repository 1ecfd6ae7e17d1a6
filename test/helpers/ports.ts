import { isPortFree } from '../../src/embedded/index.ts';

// Linux gives out 32768 and above by itself: what is below nobody takes by chance between the look for it and its use.
const FIRST = 20_000;
const LAST = 32_000;

/** The first of so many free ports in a row. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    const ports = Array.from({ length: count }, (_, at) => first + at);
    const free = await Promise.all(ports.map(async (port) => await isPortFree(port, '127.0.0.1')));
    if (free.every(Boolean)) return first;
  }
}
