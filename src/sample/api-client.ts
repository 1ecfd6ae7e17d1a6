/** The few calls of the API that the sample makes, as any client would: JSON with a bearer token. */
export class ApiClient {
  readonly #baseUrl: string;
  readonly #token: string;

  constructor(baseUrl: string, token: string) {
    this.#baseUrl = baseUrl;
    this.#token = token;
  }

  async get<T>(path: string): Promise<T> {
    return await this.#call<T>('GET', path);
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return await this.#call<T>('POST', path, body);
  }

  async patch<T>(path: string, body: unknown): Promise<T> {
    return await this.#call<T>('PATCH', path, body);
  }

  /** The answer's data. Throws an Error with the API's own words where it refuses. */
  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(new URL(path, this.#baseUrl), {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text.slice(0, 500)}`);
    return (JSON.parse(text) as { data: T }).data;
  }
}
