import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { StartError } from './errors.ts';

const run = promisify(execFile);
const USER = 'postgres';

export interface UserIds {
  uid: number;
  gid: number;
}

/**
 * PostgreSQL refuses to run as root. Who is root gets the system's user postgres, made where it is missing; anyone else runs
 * it themselves, which is undefined here.
 */
export async function findPostgresUser(): Promise<UserIds | undefined> {
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
export async function findBarrier(path: string, ids: UserIds): Promise<string | undefined> {
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
