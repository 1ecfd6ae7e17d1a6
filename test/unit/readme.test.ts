import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SETTINGS } from '../../src/config.ts';

const root = new URL('../..', import.meta.url).pathname;
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** The names in backticks in the first column of the table under a heading. */
function firstColumn(heading: string): string[] {
  const section = readme.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));
}

test('the settings in the README are those that there are, each once', () => {
  expect(firstColumn('Settings').toSorted()).toEqual([...SETTINGS].toSorted());
});

test('the commands in the README are those that there are, each once', () => {
  const main = readFileSync(join(root, 'src/bin/main.ts'), 'utf8');
  const commands = [...main.matchAll(/\bprogram\s*\.command\('(\w+)'\)/g)].map(([, name = '']) => name);
  expect(commands.length).toBeGreaterThan(8);
  expect(firstColumn('Commands').toSorted()).toEqual(commands.toSorted());
});
