import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePorts } from '../helpers/ports.ts';
import { spawnProgram } from '../helpers/program.ts';
import { fuzzListeners, uncaughtIn } from './fuzz-listeners.ts';

// npm run fuzz -- --seconds 60 --seed 7
const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } },
});
const given = { seconds: Number(values.seconds), seed: Number(values.seed) };
if (!(given.seconds > 0) || !Number.isInteger(given.seed) || process.platform !== 'linux') {
  console.error('Usage, on Linux: npm run fuzz -- [--seconds N] [--seed N]; N seconds for each port.');
  process.exit(2);
}
const scratch = await mkdtemp(join(tmpdir(), 'trailmark-fuzz-'));
await chmod(scratch, 0o711);
const folder = join(scratch, 'data');
const main = fileURLToPath(new URL('../../dist/src/bin/trailmark.js', import.meta.url));
const system = spawnProgram(main, ['start'], {
  TRAILMARK_DATA: folder,
  TRAILMARK_PORT: '0',
  TRAILMARK_METRICS_PORT: String(await freePorts(3)),
  TRAILMARK_CACHE: process.env['TRAILMARK_CACHE'] ?? join(homedir(), '.cache', 'trailmark'),
});
let isGood = false;
try {
  await system.says('Ctrl-C stops it', 380_000);
  const findings = await fuzzListeners({
    ...given,
    folder,
    startPid: system.process.pid ?? 0,
    onFinding: ({ program, host, port, connections, problem }) =>
      console.log(`${program.padEnd(12)} ${host}:${port}  ${connections} connections  ${problem ?? 'still there'}`),
  });
  const uncaught = await uncaughtIn(folder);
  for (const line of uncaught) console.log(line);
  isGood = uncaught.length === 0 && findings.every(({ problem }) => problem === undefined);
  console.log(isGood ? 'Nothing that was said to a port ended a process.' : 'Something did not hold.');
} finally {
  await system.terminate();
  await rm(scratch, { recursive: true, force: true });
}
process.exit(isGood ? 0 : 1);
