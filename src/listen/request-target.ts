/** Where a request is for: the part before the question mark as it came, and the parameters behind it. */
export interface RequestTarget {
  path: string;
  query: URLSearchParams;
}

/**
 * Takes a request's target apart. Any text that a socket sends has an answer here, where `new URL` throws at `//` and at much else:
 * nothing is resolved or normalised, so what is not exactly a known path is none.
 */
export function targetOf({ url = '/' }: { url?: string | undefined }): RequestTarget {
  const at = url.indexOf('?');
  if (at === -1) return { path: url, query: new URLSearchParams() };
  return { path: url.slice(0, at), query: new URLSearchParams(url.slice(at + 1)) };
}
