import { html } from 'hono/html';
import type { OpenApiDocument } from '../openapi.ts';
import { layout, type Markup } from './parts/layout.ts';
import { fieldsOf, referenceOf, typeOf, type DocumentedSchema } from './reference-schema.ts';

interface DocumentedContent {
  content?: Record<string, { schema?: DocumentedSchema }>;
  description?: string;
}

interface DocumentedOperation {
  operationId?: string;
  summary?: string;
  description?: string;
  tags?: string[];
  security?: unknown[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: DocumentedSchema }[];
  requestBody?: DocumentedContent;
  responses?: Record<string, DocumentedContent>;
}

interface Operation extends DocumentedOperation {
  id: string;
  method: string;
  path: string;
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** The reference page, whole from the document: it needs no network and no script. */
export function referencePage(document: OpenApiDocument): Markup {
  const operations = operationsOf(document);
  const schemas = (document.components?.schemas ?? {}) as Record<string, DocumentedSchema>;
  const groups = (document.tags ?? [])
    .map((tag) => ({ ...tag, operations: operations.filter((operation) => operation.tags?.includes(tag.name)) }))
    .filter((group) => group.operations.length > 0);
  return layout({
    title: 'API',
    body: html`<h1>The API</h1>
      <div class="reference">
        <nav aria-label="Operations">
          ${groups.map(
            (group) =>
              html`<strong>${group.name}</strong>
                <ul>
                  ${group.operations.map(
                    (operation) => html`<li><a href="#${operation.id}">${operation.summary ?? operation.path}</a></li>`,
                  )}
                </ul>`,
          )}
          <strong>Schemas</strong>
          <ul>
            ${Object.keys(schemas).map((name) => html`<li><a href="#schema-${name}">${name}</a></li>`)}
          </ul>
        </nav>
        <div>
          <section>
            ${(document.info.description ?? '').split('\n\n').map((paragraph) => html`<p>${code(paragraph)}</p>`)}
            <p><a href="/openapi.json">openapi.json</a> is this document for programs.</p>
          </section>
          ${groups.map(
            (group) =>
              html`<h2>${group.name}</h2>
                <p class="soft">${group.description ?? ''}</p>
                ${group.operations.map(operationSection)}`,
          )}
          <h2>Schemas</h2>
          ${Object.entries(schemas).map(
            ([name, schema]) =>
              html`<section id="schema-${name}">
                <h2>${name}</h2>
                ${schemaTable(schema)}
              </section>`,
          )}
        </div>
      </div>`,
  });
}

function operationsOf(document: OpenApiDocument): Operation[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method] as DocumentedOperation | undefined;
      return operation === undefined
        ? []
        : [{ ...operation, method, path, id: operation.operationId ?? method + path }];
    }),
  );
}

function operationSection(operation: Operation): Markup {
  const body = schemaOf(operation.requestBody);
  return html`<section id="${operation.id}">
    <h2>${operation.summary ?? operation.path}</h2>
    <p><span class="method">${operation.method}</span> <code>${operation.path}</code></p>
    ${operation.description === undefined ? '' : html`<p>${code(operation.description)}</p>`}
    ${operation.security === undefined ? html`<p class="soft small">Needs no token.</p>` : ''}
    ${
      operation.parameters === undefined || operation.parameters.length === 0
        ? ''
        : html`<h3>Parameters</h3>
            ${table(
              operation.parameters.map((parameter) => ({
                name: parameter.name,
                type: html`${parameter.in}, ${typeOf(parameter.schema ?? {})}`,
                required: parameter.required ?? false,
                description: parameter.description ?? parameter.schema?.description ?? '',
              })),
            )}`
    }
    ${
      body === undefined
        ? ''
        : html`<h3>Body</h3>
            ${schemaTable(body)}`
    }
    <h3>Answers</h3>
    <ul class="list">
      ${Object.entries(operation.responses ?? {}).map(([status, response]) => answer(status, response))}
    </ul>
  </section>`;
}

function answer(status: string, response: DocumentedContent): Markup {
  const schema = schemaOf(response);
  const shown = schema !== undefined && status.startsWith('2');
  return html`<li>
    <code>${status}</code> ${response.description ?? ''}
    ${
      shown
        ? html`<details>
            <summary>Its fields</summary>
            ${schemaTable(schema)}
          </details>`
        : ''
    }
  </li>`;
}

function schemaOf(holder: DocumentedContent | undefined): DocumentedSchema | undefined {
  return Object.values(holder?.content ?? {})[0]?.schema;
}

function schemaTable(schema: DocumentedSchema): Markup {
  const reference = referenceOf(schema);
  const fields = reference === null ? fieldsOf(schema) : [];
  if (fields.length === 0) return html`<p>${link(typeOf(schema), reference)}</p>`;
  return table(
    fields.map((field) => ({
      name: field.path,
      type: link(field.type, field.reference),
      required: field.required,
      description: field.description,
    })),
  );
}

function link(type: string, reference: string | null): Markup {
  return reference === null ? html`${type}` : html`<a href="#schema-${reference}">${type}</a>`;
}

function table(rows: { name: string; type: Markup; required: boolean; description: string }[]): Markup {
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Type</th>
          <th scope="col">What it is</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              <td><code>${row.name}</code></td>
              <td class="small">${row.type}${row.required ? '' : html` <span class="soft">optional</span>`}</td>
              <td>${code(row.description)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** Text in which `backticks` mark code. */
function code(text: string): (Markup | string)[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part));
}
