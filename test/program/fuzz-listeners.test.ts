import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fuzzListeners, uncaughtIn } from '../fuzz/fuzz-listeners.ts';
import { freePorts } from '../helpers/ports.ts';
import { startProgram, type Program } from '../helpers/program.ts';

const SECONDS = 1;

// Which ports there are is asked of the kernel.
const isLinux = process.platform === 'linux';
let scratch: string;
let folder: string;
let system: Program;

beforeAll(async () => {
  if (!isLinux) return;
  scratch = await mkdtemp(join(tmpdir(), 'trailmark-fuzz-'));
  await chmod(scratch, 0o711);
  folder = join(scratch, 'data');
  system = await startProgram(['start'], {
    TRAILMARK_DATA: folder,
    TRAILMARK_PORT: '0',
    TRAILMARK_METRICS_PORT: String(await freePorts(3)),
    TRAILMARK_CACHE: process.env['TRAILMARK_CACHE'] ?? join(homedir(), '.cache', 'trailmark'),
  });
  await system.says('Ctrl-C stops it', 380_000);
}, 400_000);

afterAll(async () => {
  if (!isLinux) return;
  if (system.process.exitCode === null) await system.terminate();
  await rm(scratch, { recursive: true, force: true });
});

test.skipIf(!isLinux)('nothing that is said to a port ends a process', async () => {
  const startPid = system.process.pid ?? 0;
  const findings = await fuzzListeners({ startPid, folder, seconds: SECONDS, seed: 1 });
  // The api, its metrics, the worker's two, ClickHouse, PostgreSQL, Temporal's, and two receivers.
  expect(new Set(findings.map(({ program }) => program)).size, JSON.stringify(findings)).toBeGreaterThanOrEqual(6);
  expect(findings.filter(({ problem }) => problem !== undefined)).toEqual([]);
  expect(await uncaughtIn(folder)).toEqual([]);
  expect(system.output()).not.toContain('ended by itself');
  expect(system.process.exitCode).toBe(null);
});
