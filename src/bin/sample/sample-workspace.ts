import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createSampleAccess,
  fillSampleWorkspace,
  makeShop,
  startRejectingReceiver,
  startShakyReceiver,
  type Receiver,
  type SampleAccess,
} from '../../sample/index.ts';
import type { Config } from '../../config.ts';
import { freePort } from '../../embedded/index.ts';
import type { PostgresPool } from '../../store/index.ts';

/** The sample's shop is the same everywhere. */
export const SAMPLE_SEED = 7;

/** What is kept of the sample in the data folder: who may sign in, where the receivers listen, and whether it is complete. */
interface SampleFile {
  access: SampleAccess;
  ports: { shaky: number; rejecting: number };
  /** ISO 8601: the moment the shop's 90 days end. */
  shopEndsAt: string;
  complete: boolean;
}

export interface RunningSample {
  access: SampleAccess;
  shopEndsAt: Date;
  /** How many events this start sent; 0 where the sample was there. */
  sent: number;
  shaky: Receiver;
  rejecting: Receiver;
  close(): Promise<void>;
}

/**
 * Brings the sample workspace up: makes it on an empty folder, goes on where an earlier start was interrupted, and starts its
 * two receivers on the ports they had. Returns null where the folder has other workspaces and never had a sample.
 */
export async function startSample(options: {
  pool: PostgresPool;
  dataFolder: string;
  apiUrl: string;
  /** Where its receivers listen, which nothing else may be sent to: see sampleReceivers. */
  ports: SampleFile['ports'];
  onProgress: (sentence: string) => void;
}): Promise<RunningSample | null> {
  const file = join(options.dataFolder, 'sample.json');
  const known = await readSample(file);
  if (known === null && (await hasWorkspaces(options.pool))) return null;
  const shaky = await startShakyReceiver(options.ports.shaky);
  const rejecting = await startRejectingReceiver(options.ports.rejecting);
  const close = async (): Promise<void> => {
    await Promise.all([shaky.close(), rejecting.close()]);
  };
  try {
    const sample: SampleFile = known ?? {
      access: await createSampleAccess(options.pool),
      ports: { shaky: shaky.port, rejecting: rejecting.port },
      shopEndsAt: new Date().toISOString(),
      complete: false,
    };
    const shopEndsAt = new Date(sample.shopEndsAt);
    let sent = 0;
    if (!sample.complete) {
      await writeSample(file, sample);
      sent = await fillSampleWorkspace({
        ...options,
        access: sample.access,
        messages: makeShop(SAMPLE_SEED, shopEndsAt),
        receivers: { shakyUrl: shaky.url, rejectingUrl: rejecting.url },
      });
      await writeSample(file, { ...sample, complete: true });
    }
    return { access: sample.access, shopEndsAt, sent, shaky, rejecting, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where the sample's receivers of a data folder listen, or will: the ports they had, or free ones. */
export async function sampleReceivers(
  dataFolder: string,
): Promise<{ ports: SampleFile['ports']; addresses: string[] }> {
  const known = await readSample(join(dataFolder, 'sample.json'));
  const ports = known?.ports ?? { shaky: await freePort(), rejecting: await freePort() };
  return { ports, addresses: [`127.0.0.1:${ports.shaky}`, `127.0.0.1:${ports.rejecting}`] };
}

/** The variable by which an api and a worker may send to these addresses, beside those that were allowed already. */
export function allowing(config: Config, addresses: readonly string[]): Record<string, string> {
  return { TRAILMARK_ALLOWED_ADDRESSES: [...config.TRAILMARK_ALLOWED_ADDRESSES, ...addresses].join(',') };
}

async function hasWorkspaces(pool: PostgresPool): Promise<boolean> {
  const { rowCount } = await pool.query('select from workspaces limit 1');
  return rowCount !== 0;
}

async function readSample(file: string): Promise<SampleFile | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as SampleFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Whole or not at all: it has the only copy of the sample's passwords. */
async function writeSample(file: string, sample: SampleFile): Promise<void> {
  await writeFile(`${file}.new`, `${JSON.stringify(sample, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
