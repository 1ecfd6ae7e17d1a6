/** An answer that the API refused with; everything else that goes wrong is thrown by fetch. */
export class ApiRefusal extends Error {
  override readonly name = 'ApiRefusal';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const TIMEOUT_MS = 15_000;

/** The HTTP API as any client calls it, with one token. */
export class Api {
  readonly #baseUrl: string;
  readonly #token: string;

  constructor(baseUrl: string, token: string) {
    this.#baseUrl = baseUrl;
    this.#token = token;
  }

  /** The answer's data. Throws an ApiRefusal, or what fetch throws while the API is away. */
  async call<T>(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<T> {
    const response = await fetch(new URL(path, this.#baseUrl), {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        // Of nothing there is no type: the API takes an empty body for malformed JSON.
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new ApiRefusal(response.status, `${method} ${path} was answered ${response.status}: ${text.slice(0, 400)}`);
    }
    return (JSON.parse(text) as { data: T }).data;
  }
}
