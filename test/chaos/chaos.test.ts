import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { runChaos } from './chaos.ts';

const KILLS = 8;
const SEED = 1;

beforeAll(() => {
  // The programs that are killed run from dist. Where it is there and nothing has changed since, this does nothing.
  execFileSync(process.execPath, [fileURLToPath(new URL('../../build.mjs', import.meta.url))], { stdio: 'inherit' });
}, 180_000);

/** `npm run chaos -- --kills 500 --seed N` is the same with more; docs/reliability.md says what is looked at, and how. */
test(`whatever is killed, ${KILLS} times, every promise holds`, async () => {
  const lines: string[] = [];
  const stopping = AbortSignal.timeout(540_000);
  const report = await runChaos({
    kills: KILLS,
    seed: SEED,
    keep: false,
    signal: stopping,
    say: (line) => lines.push(line),
  });
  const broken = report.promises.filter((promise) => promise.broken > 0);
  expect(broken, lines.join('\n')).toEqual([]);
  expect(report.kills).toBe(KILLS);
  // A promise of which nothing was looked at would hold whatever happens; of so few kills none need interrupt a batch.
  for (const { name, checked } of report.promises) {
    if (!name.startsWith('what is delivered twice has')) expect(checked, name).toBeGreaterThan(0);
  }
  expect(report.ok).toBe(true);
}, 900_000);
