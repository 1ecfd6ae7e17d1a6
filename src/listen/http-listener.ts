import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { refusalOfWebPage } from './web-pages.ts';

export interface ListenerOptions {
  host: string;
  /** 0 is any free one. */
  port: number;
  /** Answers one request. Whatever it throws, now or later, is answered by 500, or breaks the answer off that has begun. */
  answer: (request: IncomingMessage, response: ServerResponse) => unknown;
  /** Hears of what no client can be told of any more. */
  onError: (error: unknown) => void;
  /** Refuses what a browser asks on behalf of a web page: for a server of this machine's programs alone. */
  refuseWebPages: boolean;
  /** The longest head of a request that is read, in bytes; 16 KiB where not given. */
  maxHeadBytes?: number;
  /** For the head of a request, however slowly it drips, in milliseconds. */
  headTimeoutMs?: number;
  /** For all of a request. 0 is no limit. */
  requestTimeoutMs?: number;
}

export interface Listener {
  readonly port: number;
  readonly server: Server;
  /** Takes no new connection, and resolves when the requests that run are answered. */
  close(): Promise<void>;
  /** Ends every connection, and closes. */
  closeNow(): Promise<void>;
}

const HEAD_TIMEOUT_MS = 30_000;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 10_000;
const MAX_CONNECTIONS = 2_000;

/**
 * Serves HTTP so that nothing that a socket says ends the process: what an answer throws or rejects with stays in its request, errors
 * of connections and of the server have a listener, and a client that does not finish its request is cut off.
 */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const { headTimeoutMs = HEAD_TIMEOUT_MS, requestTimeoutMs = REQUEST_TIMEOUT_MS } = options;
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Node takes the shorter of the two for the head, and 0 of the one as 0 of both.
      headersTimeout: headTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // How often it looks for those whose time is over.
      connectionsCheckingInterval: Math.min(5_000, headTimeoutMs),
      ...(options.maxHeadBytes === undefined ? {} : { maxHeaderSize: options.maxHeadBytes }),
    },
    (request, response) => void contain(options, request, response),
  );
  // A client takes files of this process by connecting, and others need some too.
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  watchServer(server, options.onError);
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    await closed;
  };
  return {
    port: (server.address() as AddressInfo).port,
    server,
    close,
    closeNow: async () => {
      server.closeAllConnections();
      await close();
    },
  };
}

/** Listens to the errors of a server that listens already: one for which nobody does, such as that no file is left to accept with, ends the process. */
function watchServer(server: Pick<Server, 'on'>, onError: (error: unknown) => void): void {
  server.on('error', onError);
  server.on('request', (_request: IncomingMessage, response: ServerResponse) => response.on('error', onError));
}

async function contain(options: ListenerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const refusal = options.refuseWebPages ? refusalOfWebPage(request) : undefined;
    if (refusal !== undefined) {
      response.writeHead(403, { 'Content-Type': 'text/plain; charset=UTF-8', Connection: 'close' }).end(`${refusal}\n`);
      return;
    }
    await options.answer(request, response);
  } catch (error) {
    // A client that left in the middle is no error of this server.
    if (!isGone(request, response)) options.onError(error);
    if (response.headersSent) response.destroy();
    else
      response.writeHead(500, { 'Content-Type': 'text/plain; charset=UTF-8', Connection: 'close' }).end('It failed.\n');
  }
}

function isGone(request: IncomingMessage, response: ServerResponse): boolean {
  return response.destroyed || (request.destroyed && !request.complete);
}
