import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { programCommand } from '../src/embedded/index.ts';
import type { BenchEngines } from './engines.ts';

/** `trailmark worker`, as it runs in production; it may send to this machine. */
export function startWorker(engines: BenchEngines, secret: string): ChildProcess {
  const { command, args } = programCommand();
  return spawn(command, [...args, 'worker'], {
    env: {
      ...process.env,
      DATABASE_URL: engines.databaseUrl,
      CLICKHOUSE_URL: engines.clickhouseUrl,
      TEMPORAL_ADDRESS: engines.temporalAddress,
      TRAILMARK_SECRET: secret,
      TRAILMARK_ALLOW_PRIVATE_ADDRESSES: 'on',
      TRAILMARK_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** Ends a program that ends when its parent lets go of it, and waits for that. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  if (child.connected) child.disconnect();
  await gone;
}
