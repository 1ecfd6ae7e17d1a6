import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import {
  access,
  chmod,
  link,
  mkdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  statfs,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartError } from './errors.ts';
import { isAlive, startTimeOf } from './processes.ts';

const LOCK = 'trailmark.lock';
const ENGINES = 'engines.json';
const SECRET = 'secret';
const BEAT_MS = 3_000;
const SILENT_MS = 12_000;
const MIB = 1024 * 1024;
// PostgreSQL alone writes about 100 MB before its first row, Temporal's program is 150.
const NEEDED_MB = 500;

/** Where the embedded engines listen and what lets one in; kept so that a restart finds them where they were. */
export interface EngineNotes {
  postgres: { port?: number; password: string };
  clickhouse: { port?: number; password: string };
  temporal: { port?: number; uiPort?: number | undefined };
}

/** A data folder that this process alone holds. */
export interface DataFolder {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly notes: EngineNotes;
  saveNotes(): Promise<void>;
  /** The key that encrypts secrets at rest; made on the first call. */
  secret(): Promise<string>;
  release(): Promise<void>;
}

/**
 * Takes a data folder: makes it where it is missing, checks that it can be written and has room, and locks it. Throws a
 * StartError with a sentence for each way that this can fail.
 */
export async function openDataFolder(given: string): Promise<DataFolder> {
  const path = await prepare(resolve(given));
  await takeLock(path);
  // Read by a start on another machine, or in another container, that shares the folder and can't see this process.
  const beat = setInterval(() => void utimes(join(path, LOCK), new Date(), new Date()).catch(() => undefined), BEAT_MS);
  beat.unref();
  try {
    const notes = (await readEngineNotes(path)) ?? {
      postgres: { password: randomBytes(24).toString('base64url') },
      clickhouse: { password: randomBytes(24).toString('base64url') },
      temporal: {},
    };
    let saved = Promise.resolve();
    // One after the other: engines that start side by side each have something to note.
    const saveNotes = async (): Promise<void> => {
      saved = saved.then(async () => await writeWhole(join(path, ENGINES), `${JSON.stringify(notes, null, 2)}\n`));
      await saved;
    };
    // Before any engine has a password from it.
    await saveNotes();
    return {
      path,
      notes,
      saveNotes,
      secret: async () => {
        const known = await readSecret(path);
        if (known !== undefined) return known;
        const made = randomBytes(32).toString('base64url');
        await writeWhole(join(path, SECRET), `${made}\n`);
        return made;
      },
      release: async () => {
        clearInterval(beat);
        await rm(join(path, LOCK), { force: true });
      },
    };
  } catch (error) {
    clearInterval(beat);
    await rm(join(path, LOCK), { force: true });
    throw explain(error, path);
  }
}

/** What a folder knows of its engines, whether or not they run; undefined for a folder that never started. */
export async function readEngineNotes(folder: string): Promise<EngineNotes | undefined> {
  const file = join(folder, ENGINES);
  try {
    return JSON.parse(await readFile(file, 'utf8')) as EngineNotes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (!(error instanceof SyntaxError)) throw explain(error, folder);
    throw new StartError(
      `${file} is not JSON any more. It holds the passwords of the engines in this folder: restore it from a backup, or move the folder away to begin anew.`,
    );
  }
}

/** The folder's key for secrets at rest, if one was made. */
export async function readSecret(folder: string): Promise<string | undefined> {
  const text = await readFile(join(folder, SECRET), 'utf8').catch(() => undefined);
  return text === undefined || text.trim() === '' ? undefined : text.trim();
}

/** The process that holds a folder now, or undefined. */
export async function findHolder(folder: string): Promise<number | undefined> {
  const file = join(folder, LOCK);
  try {
    const { pid, startTime, host } = JSON.parse(await readFile(file, 'utf8')) as Lock;
    if (host !== hostname()) return Date.now() - (await stat(file)).mtimeMs < SILENT_MS ? pid : undefined;
    // A number alone may have come to another program meanwhile.
    return (await isAlive(pid)) && (await startTimeOf(pid)) === startTime ? pid : undefined;
  } catch {
    return undefined;
  }
}

interface Lock {
  pid: number;
  startTime: string;
  host: string;
}

/** The free space of a folder's disk in MiB. */
export async function freeMegabytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return Math.floor((bavail * bsize) / MIB);
}

async function prepare(path: string): Promise<string> {
  try {
    await makeFolder(path);
    const real = await realpath(path);
    await access(real, constants.R_OK | constants.W_OK | constants.X_OK);
    const probe = join(real, `.probe-${process.pid}`);
    await writeFile(probe, 'room?', { flush: true });
    await rm(probe);
    // Other programs of this machine may pass through, PostgreSQL's user where root starts it, but not look around.
    await chmod(real, 0o711).catch(() => undefined);
    const free = await freeMegabytes(real);
    if (free < NEEDED_MB) {
      throw new StartError(
        `Only ${free} MB are free on the disk of ${real}, and Trailmark needs ${NEEDED_MB} to start. Free some, or set TRAILMARK_DATA to a folder on another disk.`,
      );
    }
    return real;
  } catch (error) {
    throw explain(error, path);
  }
}

/** As mkdir with `recursive`, which on a read-only disk says ENOENT, and under /proc never ends. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o711 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || (await exists(dirname(path)))) throw error;
    await makeFolder(dirname(path));
    await mkdir(path, { mode: 0o711 });
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

async function takeLock(path: string): Promise<void> {
  const file = join(path, LOCK);
  const mine: Lock = { pid: process.pid, startTime: await startTimeOf(process.pid), host: hostname() };
  const draft = join(path, `${LOCK}.${process.pid}`);
  const deadline = Date.now() + SILENT_MS + BEAT_MS;
  await writeFile(draft, JSON.stringify(mine), { mode: 0o600 });
  try {
    for (;;) {
      try {
        // Whole from its first moment, and only if no other is there.
        await link(draft, file);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw explain(error, path);
      }
      const text = await readFile(file, 'utf8').catch(() => '');
      const holder = await findHolder(path);
      if (holder === undefined) {
        // Left by a process that was killed. Another start may have found it so too, and have the folder by now.
        if ((await readFile(file, 'utf8').catch(() => '')) === text) await rm(file, { force: true });
        continue;
      }
      const elsewhere = !text.includes(JSON.stringify(mine.host));
      if (elsewhere && Date.now() < deadline) {
        await sleep(500);
        continue;
      }
      throw new StartError(
        `Trailmark already runs on ${path} (process ${holder}${elsewhere ? ' of another machine or container' : ''}). Stop it first, or set TRAILMARK_DATA to another folder.`,
      );
    }
  } finally {
    await rm(draft, { force: true });
  }
}

/** A file that is there whole or not at all, whatever happens, and that only its owner may read. */
async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
}

function explain(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const other = 'set TRAILMARK_DATA to a folder that this user may write to';
  const sentences: Record<string, string> = {
    EACCES: `This user may not write to ${path}. Change its owner or rights, or ${other}.`,
    EPERM: `This user may not write to ${path}. Change its owner or rights, or ${other}.`,
    ENOENT: `${path} can't be made there. Change its place: ${other}.`,
    EROFS: `${path} is on a disk that is read-only. Mount it writable, or ${other}.`,
    ENOSPC: `No space is left on the disk of ${path}. Free some, or set TRAILMARK_DATA to a folder on another disk.`,
    EDQUOT: `The quota of the disk of ${path} is used up. Free some, or set TRAILMARK_DATA to a folder on another disk.`,
    ENOTDIR: `A part of ${path} is a file, not a folder. Move the file away, or ${other}.`,
    EEXIST: `${path} is a file, not a folder. Move the file away, or ${other}.`,
  };
  const sentence = sentences[code ?? ''];
  return sentence === undefined ? error : new StartError(sentence, { cause: error });
}
