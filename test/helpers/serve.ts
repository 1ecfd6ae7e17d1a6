import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';

export interface Served {
  /** Such as http://127.0.0.1:40123. */
  address: string;
  close(): Promise<void>;
}

/** Serves an application on a free port of loopback. */
export async function serve(fetch: Parameters<typeof createAdaptorServer>[0]['fetch']): Promise<Served> {
  const server = createAdaptorServer({ fetch });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      // A browser keeps its connections open.
      if ('closeAllConnections' in server) server.closeAllConnections();
      await closed;
    },
  };
}
