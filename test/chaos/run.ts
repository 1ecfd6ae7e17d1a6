import { parseArgs } from 'node:util';
import { runChaos, type ChaosReport } from './chaos.ts';

// npm run chaos -- --kills 500 --seed 7 --json
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
});
const given = { kills: Number(values.kills), seed: Number(values.seed) };
if (!Number.isInteger(given.kills) || given.kills < 1 || !Number.isInteger(given.seed)) {
  console.error(
    'Usage: npm run chaos -- [--kills N] [--seed N] [--json] [--keep]; N are whole numbers, kills at least 1.',
  );
  process.exit(2);
}
const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (stopping.signal.aborted) process.exit(130);
    console.log(`${name}: no more kills; it comes to rest, and promises are looked at. Once more ends it at once.`);
    stopping.abort();
  });
}
const since = Date.now();
const report = await runChaos({
  ...given,
  keep: values.keep,
  signal: stopping.signal,
  say: (line) => console.log(`${((Date.now() - since) / 1_000).toFixed(1).padStart(7)} s  ${line}`),
});
for (const line of tell(report)) console.log(line);
console.log(values.json ? JSON.stringify(report) : summary(report));
process.exit(report.ok ? 0 : 1);

/** The coverage and the promises, for people. */
function tell({ coverage, promises }: ChaosReport): string[] {
  const places = Object.entries(coverage).map(([place, counts]) => {
    const text = Object.entries(counts).map(([how, count]) => (count === 1 ? how : `${how} ×${count}`));
    return `  ${place.padEnd(26)} ${text.join(', ') || '–'}`;
  });
  const kept = promises.map(({ name, checked, broken, examples, counts }) => {
    const details = Object.entries(counts ?? {}).map(([what, count]) => `${what} ${count}`);
    const head = `  ${broken === 0 ? 'holds ' : 'BROKEN'} ${name}: ${checked} looked at, ${broken} broken`;
    return [head + (details.length > 0 ? ` (${details.join(', ')})` : ''), ...examples.map((one) => `         ${one}`)];
  });
  return ['Places:', ...places, 'Promises:', ...kept.flat()];
}

function summary({ ok, kills, seed, promises, missed, seconds }: ChaosReport): string {
  const counts = promises.map(({ name, checked, broken }) => `${name} ${checked - broken}/${checked}`);
  const broken = promises.some((promise) => promise.broken > 0);
  const verdict = ok
    ? 'All promises hold'
    : broken
      ? 'A PROMISE IS BROKEN'
      : 'All promises hold, BUT THE RUN IS INCOMPLETE';
  return `${verdict}: seed ${seed}, ${kills} kills in ${seconds.kills} s, ${missed.length} places missed; ${counts.join('; ')}`;
}
