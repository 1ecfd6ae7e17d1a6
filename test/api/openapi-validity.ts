import { Validator } from '@seriousme/openapi-schema-validator';

/** What the OpenAPI Initiative's own schema finds wrong with a document. */
export async function validate(document: object): Promise<unknown[]> {
  const result = await new Validator().validate(JSON.parse(JSON.stringify(document)) as Record<string, unknown>);
  if (result.valid) return [];
  return Array.isArray(result.errors) ? result.errors : [result.errors];
}
