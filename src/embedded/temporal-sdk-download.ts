import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/**
 * Lets Temporal's SDK download the server of its own choice into `folder`, and gives the program's path. The SDK has no
 * download alone: it starts the server it fetched, which is ended at once. Loaded only when it is needed, for it is large.
 */
export async function downloadBySdk(folder: string): Promise<string> {
  const { version } = createRequire(import.meta.url)('@temporalio/worker/package.json') as { version: string };
  const { Runtime } = await import('@temporalio/worker');
  // Its signal handlers would take Ctrl-C away from the command.
  Runtime.install({ shutdownSignals: [] });
  const runtime = Runtime.instance();
  try {
    const server = await runtime.createEphemeralServer({
      type: 'dev-server',
      exe: {
        type: 'cached-download',
        downloadDir: folder,
        version: 'default',
        ttl: 0,
        sdkName: 'sdk-typescript',
        sdkVersion: version,
      },
      namespace: 'default',
      ip: '127.0.0.1',
      port: null,
      uiPort: null,
      dbFilename: null,
      ui: false,
      log: { format: 'pretty', level: 'error' },
      extraArgs: [],
    });
    await runtime.shutdownEphemeralServer(server);
  } finally {
    // It may have ended by itself with its last server.
    await runtime.shutdown().catch(() => undefined);
  }
  const program = (await readdir(folder)).find((name) => name.startsWith('temporal'));
  if (program === undefined) throw new Error('the SDK left no program');
  return join(folder, program);
}
