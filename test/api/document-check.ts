import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

interface Document {
  paths: Record<string, Record<string, { responses: Record<string, { content?: Record<string, unknown> }> }>>;
}

/** Holds answers against the document: a route, a status or a field that it does not tell of is a failure. */
export class DocumentCheck {
  readonly #document: Document;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: object) {
    this.#document = document as Document;
    addFormats.default(this.#ajv);
    this.#ajv.addSchema({ $id: 'document', ...closed(document) });
  }

  /** Throws if the document has no such answer to this route, or describes it otherwise. */
  check(method: string, path: string, status: number, body: unknown): void {
    const template = this.#templateOf(method, path);
    if (template === undefined) throw new Error(`${method} ${path} is not in the document`);
    const answers = this.#document.paths[template]?.[method.toLowerCase()]?.responses ?? {};
    if (answers[status] === undefined) throw new Error(`${method} ${template} is not said to answer ${status}`);
    const pointer = [
      'paths',
      template,
      method.toLowerCase(),
      'responses',
      String(status),
      'content',
      'application/json',
      'schema',
    ]
      .map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1'))
      .map(encodeURIComponent)
      .join('/');
    const key = `document#/${pointer}`;
    const validate = this.#validators.get(key) ?? this.#ajv.compile({ $ref: key });
    this.#validators.set(key, validate);
    if (!validate(body)) {
      throw new Error(
        `${method} ${template} ${status} is not as the document says: ${this.#ajv.errorsText(validate.errors)}\n${JSON.stringify(body)}`,
      );
    }
  }

  #templateOf(method: string, path: string): string | undefined {
    const parts = path.split('/');
    const fits = (template: string): boolean => {
      const wanted = template.split('/');
      return wanted.length === parts.length && wanted.every((part, at) => part.startsWith('{') || part === parts[at]);
    };
    return Object.keys(this.#document.paths)
      .filter((template) => this.#document.paths[template]?.[method.toLowerCase()] !== undefined && fits(template))
      .sort((one, other) => one.split('{').length - other.split('{').length)[0];
  }
}

/** The same schemas, with no room for fields that they do not name: an answer must not have any. */
function closed(value: object): object {
  return JSON.parse(JSON.stringify(value), (_key, node: unknown) => {
    if (typeof node !== 'object' || node === null || !('properties' in node) || !('type' in node)) return node;
    return 'additionalProperties' in node ? node : { ...node, additionalProperties: false };
  }) as object;
}
