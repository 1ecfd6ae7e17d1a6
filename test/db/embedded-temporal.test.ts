import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findTemporal, startTemporal, StartError } from '../../src/embedded/index.ts';

let folder: string;
let binary: string;
const other = createServer();
let taken: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trailmark-temporal-'));
  const cacheFolder = process.env['TRAILMARK_CACHE'] ?? join(homedir(), '.cache', 'trailmark');
  binary = await findTemporal({ cacheFolder, env: process.env });
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  taken = (other.address() as AddressInfo).port;
});
afterAll(async () => {
  other.close();
  await rm(folder, { recursive: true, force: true });
});

/** Temporal's program, which finds its port taken by another for so many starts. */
async function unlucky(starts: number): Promise<{ program: string; begun: () => Promise<number> }> {
  const program = join(folder, `unlucky-${starts}`);
  const counted = `${program}.starts`;
  await writeFile(counted, '');
  await writeFile(
    program,
    `#!/bin/sh
echo . >> '${counted}'
[ "$(wc -l < '${counted}')" -gt ${starts} ] || set -- $(echo "$@" | sed 's/--port [0-9]*/--port ${taken}/')
exec '${binary}' "$@"
`,
    { mode: 0o755 },
  );
  return { program, begun: async () => (await readFile(counted, 'utf8')).length / 2 };
}

const options = (program: string) => ({
  folder: join(folder, 'data'),
  binary: program,
  namespace: 'default',
  logFile: join(folder, 'temporal.log'),
});

test('a port that another program takes a moment before: it starts with another one', async () => {
  const { program, begun } = await unlucky(1);
  const temporal = await startTemporal(options(program));
  expect(temporal.port).not.toBe(taken);
  expect(await begun()).toBe(2);
  await temporal.stop();
}, 60_000);

test('a port that is taken again and again is told in its own words', async () => {
  const { program, begun } = await unlucky(9);
  const error = await startTemporal(options(program)).catch((thrown: unknown) => thrown as Error);
  expect(error).toBeInstanceOf(StartError);
  expect((error as Error).message).toContain('Temporal ended while starting');
  expect((error as Error).message).toContain(`listen tcp 127.0.0.1:${taken}: bind: address already in use`);
  expect(await begun()).toBe(3);
}, 60_000);
