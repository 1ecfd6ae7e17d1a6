import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** A folder with more files than this has rooms in it that want a name. */
const MAX_FILES = 15;

test('no folder of the program has more than 15 files on one floor', () => {
  const folders = ['src', 'activities', 'workflows'].flatMap((root) => [
    root,
    ...readdirSync(join(ROOT, root), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length)),
  ]);
  const crowded = folders
    .map((folder) => ({
      folder,
      files: readdirSync(join(ROOT, folder), { withFileTypes: true }).filter((entry) => entry.isFile()).length,
    }))
    .filter(({ files }) => files > MAX_FILES);
  expect(crowded).toEqual([]);
  expect(folders.length).toBeGreaterThan(40);
});
