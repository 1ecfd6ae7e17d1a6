import type { IncomingMessage } from 'node:http';

const LOOPBACK = /^(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d*)?$/i;

/**
 * Why a request to a server on loopback is refused that a browser sends on behalf of a web page; undefined for one of a program, or
 * of a person who typed the address. Any page may make a browser ask this machine: an image, a form, a script. A page whose name is
 * made to resolve to this machine (DNS rebinding) passes for the same origin, and shows by its Host.
 */
export function refusalOfWebPage({ headers }: Pick<IncomingMessage, 'headers'>): string | undefined {
  const site = headers['sec-fetch-site'];
  if (headers.origin !== undefined || headers.referer !== undefined || (site !== undefined && site !== 'none')) {
    return 'This server is for programs on this machine, and answers no web page.';
  }
  // Only HTTP/1.0 may leave it away, and no browser does.
  if (headers.host !== undefined && !LOOPBACK.test(headers.host)) {
    return 'This server is known as 127.0.0.1 or localhost, and answers to no other name.';
  }
  return undefined;
}
