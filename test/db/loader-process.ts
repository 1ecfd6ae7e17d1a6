import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addressOf, type TestStores } from '../helpers/engines.ts';

export interface LoaderProcess {
  kill(): void;
  ended: Promise<void>;
}

/** A loader on these stores, as a process that can be killed. */
export async function startLoaderProcess(stores: TestStores): Promise<LoaderProcess> {
  const dist = resolve(await addressOf('program'), '../../..');
  const file = fileURLToPath(new URL('./loader-process.mjs', import.meta.url));
  const child = spawn(process.execPath, [file, dist, stores.databaseUrl, stores.clickhouseUrl], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = new Promise<void>((gone) => child.once('exit', () => gone()));
  return { kill: () => void child.kill('SIGKILL'), ended };
}
