import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { StartError } from '../errors.ts';

const run = promisify(execFile);
const USER = 'postgres';

interface UserIds {
  uid: number;
  gid: number;
}

/** How PostgreSQL's programs are run: as whom, and by which command in front of them. */
export interface Launcher {
  ids: UserIds | undefined;
  wrap(command: string, args: string[]): { command: string; args: string[]; uid?: number; gid?: number };
}

/**
 * PostgreSQL refuses to run as root. Who is root has the system's user postgres run it, anyone else runs it themselves. Where
 * that user can't pass through to the paths (a home folder, say, which is its owner's alone), it keeps of root's rights the
 * one to pass through. Throws a StartError where none of it is possible.
 */
export async function findLauncher(paths: { folder: string; postgres: string }): Promise<Launcher> {
  const ids = await findPostgresUser();
  if (ids === undefined) return { ids, wrap: (command, args) => ({ command, args }) };
  const barrier = (await findBarrier(paths.folder, ids)) ?? (await findBarrier(paths.postgres, ids));
  if (barrier === undefined) return { ids, wrap: (command, args) => ({ command, args, ...ids }) };
  const [command, ...before] = [
    'setpriv',
    `--reuid=${ids.uid}`,
    `--regid=${ids.gid}`,
    '--clear-groups',
    // Without it, access(2) would forget the right that is kept.
    '--securebits=+no_setuid_fixup',
    ...['inh-caps', 'ambient-caps', 'bounding-set'].map((set) => `--${set}=-all,+dac_override`),
    '--',
  ] as const;
  const setpriv = ['/usr/bin', '/bin', '/usr/sbin'].map((folder) => `${folder}/${command}`).find(existsSync);
  const works =
    setpriv !== undefined &&
    (await run(setpriv, [...before, paths.postgres, '--version']).then(
      () => true,
      () => false,
    ));
  if (!works) {
    throw new StartError(
      `PostgreSQL does not run as root, and its user postgres can't pass through ${barrier}. ` +
        `Run Trailmark as an ordinary user, keep it and TRAILMARK_DATA in folders that others may enter (chmod o+x ${barrier}), or set DATABASE_URL.`,
    );
  }
  return { ids, wrap: (program, args) => ({ command: setpriv, args: [...before, program, ...args] }) };
}

async function findPostgresUser(): Promise<UserIds | undefined> {
  if (userInfo().uid !== 0) return undefined;
  const known = await idsOf(USER);
  if (known !== undefined) return known;
  try {
    await run('groupadd', ['--system', '--force', USER]);
    await run('useradd', ['--system', '--gid', USER, '--no-create-home', '--shell', '/usr/sbin/nologin', USER]);
  } catch (error) {
    throw new StartError(
      `PostgreSQL does not run as root, and the system user ${USER} can't be made (${(error as Error).message.trim()}). ` +
        `Make it, run Trailmark as an ordinary user, or set DATABASE_URL.`,
    );
  }
  const made = await idsOf(USER);
  if (made === undefined)
    throw new StartError(`The system user ${USER} was made but can't be found. Set DATABASE_URL.`);
  return made;
}

/** The first folder above `path` that these ids may not pass through, or undefined where they reach it. */
async function findBarrier(path: string, ids: UserIds): Promise<string | undefined> {
  let barrier: string | undefined;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const info = await stat(folder).catch(() => undefined);
    if (info !== undefined) {
      const bit = info.uid === ids.uid ? 0o100 : info.gid === ids.gid ? 0o010 : 0o001;
      if ((info.mode & bit) === 0) barrier = folder;
    }
    if (folder === dirname(folder)) return barrier;
  }
}

async function idsOf(name: string): Promise<UserIds | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}
