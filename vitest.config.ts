import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const TESTS = fileURLToPath(new URL('test/', import.meta.url));

/**
 * What takes longest, longest first. Begun last, each would keep one worker busy while the other has nothing left to do. The first two
 * are a pair: one of them keeps the Temporal server of all files busy, and the other has engines of its own.
 */
const LONG = [
  'chaos/chaos',
  'workflows/several-workers',
  'workflows/reconcile-tasks',
  'workflows/hostile-receiver',
  'workflows/off-means-off',
  'workflows/execute-task',
  'browser/control',
  'api/hostile-client',
  'program/fuzz-listeners',
  'program/whole-path',
  'api/strangers',
  'db/embedded-start',
  'db/pipeline-loader',
  'db/pipeline-quarantine',
  'workflows/silent-worker',
  'workflows/wiped-temporal',
  'workflows/killed-worker',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = (file: TestSpecification): number => {
      const at = LONG.indexOf(relative(TESTS, file.moduleId).replace(/\.test\.ts$/, ''));
      return at < 0 ? LONG.length : at;
    };
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => place(one) - place(other));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // The files of a worker share the modules that they load, which takes seconds of a core: each file has databases of its own, and
    // cleans up behind it.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 60_000,
  },
});
