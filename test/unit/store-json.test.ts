import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const SRC = new URL('../../src', import.meta.url).pathname;

// Files that ask PostgreSQL and write JSON for something else: a comparison, a hash, a file, what is sealed.
const ELSEWHERE = [
  'access/sign-in/sign-in-limit.ts',
  'api/routes/pages/pages.ts',
  'bin/commands/demo.ts',
  'bin/sample/sample-workspace.ts',
  'computations/write-computation.ts',
  'destinations/rows.ts',
];

test('JSON that goes into a statement is made by jsonText, which leaves out what PostgreSQL refuses', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const found = files.filter((name) => {
    const text = readFileSync(join(SRC, name), 'utf8');
    return /\.query[<(]/.test(text) && text.includes('JSON.stringify(');
  });
  expect(found.sort()).toEqual(ELSEWHERE);
});
