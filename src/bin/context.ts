import type { Config } from '../config.ts';
import { READY } from '../embedded/index.ts';

/** What a command gets of the process it runs in: nothing else reads its environment, signals or terminal. */
export interface Context {
  config: Config;
  env: Record<string, string | undefined>;
  /** Aborted by the first Ctrl-C or SIGTERM, and in a supervised child when its parent dies. */
  signal: AbortSignal;
  /** True where a person looks on. */
  terminal: boolean;
  /** What the second Ctrl-C does before the process ends at once. */
  onForce: (work: () => void) => void;
  /** Tells a parent that waits for it that this program serves. */
  sayReady: () => void;
}

/** The context of this process, whose environment and signals nothing else reads. */
export function createContext(): Omit<Context, 'config'> {
  const stopping = new AbortController();
  let force: (() => void) | undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!stopping.signal.aborted) {
        stopping.abort();
        return;
      }
      force?.();
      process.exit(130);
    });
  }
  // The leash of a supervised child: its parent is gone.
  process.on('disconnect', () => stopping.abort());
  return {
    env: process.env,
    signal: stopping.signal,
    terminal: process.stdout.isTTY && process.env['CI'] === undefined,
    onForce: (work) => (force = work),
    sayReady: () => process.send?.(READY),
  };
}
