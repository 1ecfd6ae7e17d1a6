import { Webhook } from 'standardwebhooks';
import { request, type Dispatcher } from 'undici';
import type { AlertWebhook } from './payload.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_RETRY_AFTER_MS = 60 * 60_000;

export type PostOutcome =
  | { outcome: 'delivered'; status: number }
  /** `gone`: the receiver says (410) that it does not want any more. */
  | { outcome: 'failed'; status: number | null; error: string; gone: boolean; retryAfterMs: number | null };

/**
 * Posts one signed message (Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature). Any 2xx within 10 s is a
 * delivery; a redirect is not followed. Never throws for what the receiver or the network does.
 */
export async function postWebhook(
  dispatcher: Dispatcher,
  message: { url: string; secret: string; messageId: string; payload: AlertWebhook },
): Promise<PostOutcome> {
  const body = JSON.stringify(message.payload);
  const now = new Date();
  try {
    const response = await request(message.url, {
      dispatcher,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'Trailmark',
        'webhook-id': message.messageId,
        'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
        'webhook-signature': new Webhook(message.secret).sign(message.messageId, now, body),
      },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const status = response.statusCode;
    // What it answers does not matter, and may be long or never end: read a little, so that its connection can be used again.
    void response.body.dump({ limit: MAX_ANSWER_BYTES });
    if (status >= 200 && status < 300) return { outcome: 'delivered', status };
    const redirect = status >= 300 && status < 400 ? ', and redirects are not followed' : '';
    return {
      outcome: 'failed',
      status,
      error: `The receiver answered ${status}${redirect}.`,
      gone: status === 410,
      retryAfterMs: retryAfterMs(response.headers['retry-after']),
    };
  } catch (error) {
    return { outcome: 'failed', status: null, error: describe(error), gone: false, retryAfterMs: null };
  }
}

function retryAfterMs(header: string | string[] | undefined): number | null {
  if (typeof header !== 'string' || !/^\d{1,9}$/.test(header)) return null;
  return Math.min(Number(header) * 1000, MAX_RETRY_AFTER_MS);
}

const SENTENCES: Record<string, string> = {
  ERR_ADDRESS_REFUSED: 'The address is not one that this installation sends to.',
  ENOTFOUND: 'There is no such host.',
  ECONNREFUSED: 'The receiver refused the connection.',
  ECONNRESET: 'The receiver closed the connection.',
  UND_ERR_SOCKET: 'The receiver closed the connection.',
  UND_ERR_CONNECT_TIMEOUT: 'The receiver did not answer in time.',
  UND_ERR_HEADERS_TIMEOUT: 'The receiver did not answer in time.',
  TimeoutError: 'The receiver did not answer in time.',
};

function describe(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    const sentence = SENTENCES[(at as NodeJS.ErrnoException).code ?? ''] ?? SENTENCES[at.name];
    if (sentence !== undefined) return sentence;
  }
  const code = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : 'unknown';
  return `The receiver could not be reached (${code}).`;
}
