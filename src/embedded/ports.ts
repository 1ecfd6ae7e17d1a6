import { createServer, type AddressInfo } from 'node:net';
import { PortTakenError, StartError } from './errors.ts';

// Three times in a row it is something else than another program that was quicker.
const STARTS = 3;

/**
 * Starts what listens on a free port: `port` if it is free, else any, or a StartError where `portIsFixed`. Another program may take the
 * port after it was found free; then it starts with another one.
 */
export async function startOnFreePort<T>(
  { port: preferred, portIsFixed }: { port?: number | undefined; portIsFixed?: boolean },
  start: (port: number) => Promise<T>,
): Promise<T> {
  for (let at = 1; ; at++) {
    const port = await freePort(preferred, portIsFixed);
    try {
      return await start(port);
    } catch (error) {
      if (!(error instanceof PortTakenError) || portIsFixed === true || at === STARTS) throw error;
    }
  }
}

/** A port of 127.0.0.1 that nothing listens on: `preferred` if it is free, else any, or a StartError where no other will do. */
export async function freePort(preferred?: number, noOther = false): Promise<number> {
  if (preferred !== undefined && preferred !== 0) {
    const free = await tryPort(preferred, '127.0.0.1').catch(() => undefined);
    if (free !== undefined) return free;
    if (noOther) throw new StartError(`Port ${preferred} of 127.0.0.1 is taken by another program.`);
  }
  return await tryPort(0, '127.0.0.1');
}

/** True when this host and port can be listened on. Throws what the system says where the port is not merely taken. */
export async function isPortFree(port: number, host: string): Promise<boolean> {
  try {
    await tryPort(port, host);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}

async function tryPort(port: number, host: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => {
      const taken = (server.address() as AddressInfo).port;
      server.close(() => resolve(taken));
    });
  });
}
