/** What the reference page reads of a JSON schema in the document. */
export interface DocumentedSchema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  properties?: Record<string, DocumentedSchema>;
  required?: string[];
  items?: DocumentedSchema;
  additionalProperties?: DocumentedSchema | boolean;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  anyOf?: DocumentedSchema[];
  oneOf?: DocumentedSchema[];
  allOf?: DocumentedSchema[];
}

export interface DocumentedField {
  /** Such as `definition.query` or `destinations[].settings`. */
  path: string;
  type: string;
  required: boolean;
  description: string;
  /** The named schema that the reader finds elsewhere on the page. */
  reference: string | null;
}

/** The fields of an object, those of nested ones too; a named schema is not gone into, but named. */
export function fieldsOf(schema: DocumentedSchema, prefix = ''): DocumentedField[] {
  if (schema.items !== undefined && schema.$ref === undefined) return fieldsOf(schema.items, `${prefix}[]`);
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const reference = referenceOf(field);
    const own: DocumentedField = {
      path,
      type: typeOf(field),
      required: schema.required?.includes(name) ?? false,
      description: describe(field),
      reference,
    };
    return reference === null ? [own, ...fieldsOf(field, path)] : [own];
  });
}

/** The name of the schema that this one refers to, itself or by its items; null where it is written out. */
export function referenceOf(schema: DocumentedSchema): string | null {
  const ref = schema.$ref ?? schema.items?.$ref ?? schema.allOf?.[0]?.$ref;
  return ref === undefined ? null : (ref.split('/').at(-1) ?? null);
}

/** A type in words: `string`, `array of Task`, `one of "USERS", "ACCOUNTS"`, `integer or null`. */
export function typeOf(schema: DocumentedSchema): string {
  if (schema.$ref !== undefined) return schema.$ref.split('/').at(-1) ?? 'object';
  if (schema.allOf?.[0] !== undefined) return typeOf(schema.allOf[0]);
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) return [...new Set(alternatives.map(typeOf))].join(' or ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return `one of ${schema.enum.map((value) => JSON.stringify(value)).join(', ')}`;
  if (schema.items !== undefined) return `array of ${typeOf(schema.items)}`;
  const types = [schema.type ?? 'any'].flat();
  return types
    .map((type) => (schema.format === undefined || type === 'null' ? type : `${type} (${schema.format})`))
    .join(' or ');
}

function describe(schema: DocumentedSchema): string {
  const limits = [
    schema.minLength === undefined ? '' : `at least ${schema.minLength} characters`,
    schema.maxLength === undefined ? '' : `at most ${schema.maxLength} characters`,
    schema.minimum === undefined || schema.minimum <= Number.MIN_SAFE_INTEGER ? '' : `at least ${schema.minimum}`,
    schema.maximum === undefined || schema.maximum >= Number.MAX_SAFE_INTEGER ? '' : `at most ${schema.maximum}`,
    schema.default === undefined ? '' : `${JSON.stringify(schema.default)} if not given`,
  ].filter((limit) => limit !== '');
  const text = schema.description ?? '';
  if (limits.length === 0) return text;
  const sentence = `${limits.join(', ')}.`;
  return `${text}${text === '' ? '' : ' '}${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}`;
}
