import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listProcesses } from '../../src/embedded/index.ts';
import { listListening } from '../fuzz/listeners.ts';
import { freePorts } from '../helpers/ports.ts';
import { addressOf } from '../helpers/engines.ts';

let scratch: string;
let folder: string;
let port: number;
let main: string;
const begun: ChildProcess[] = [];

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'trailmark-start-'));
  await chmod(scratch, 0o711);
  folder = join(scratch, 'data');
  port = await freePorts(1);
  main = await addressOf('program');
});

afterAll(async () => {
  for (const child of begun) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  for (const { pid } of await childrenOf(folder)) process.kill(pid, 'SIGKILL');
  await rm(scratch, { recursive: true, force: true });
});

interface Run {
  child: ChildProcess;
  output(): string;
  /** Resolves when the output holds `text`, from the beginning or from what `since` had. Rejects when the command ends before. */
  says(text: string, since?: number): Promise<void>;
  ended: Promise<number | null>;
}

function trailmark(args: string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [main, ...args], {
    env: {
      ...process.env,
      TRAILMARK_DATA: folder,
      TRAILMARK_PORT: String(port),
      TRAILMARK_SAMPLE: 'off',
      TRAILMARK_CACHE: process.env['TRAILMARK_CACHE'] ?? join(homedir(), '.cache', 'trailmark'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  begun.push(child);
  let output = '';
  const heard: (() => void)[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      for (const hear of heard) hear();
    });
  }
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    output: () => output,
    ended,
    says: async (text, since = 0) => {
      await new Promise<void>((resolve, reject) => {
        const hear = (): void => {
          if (output.includes(text, since)) resolve();
        };
        heard.push(hear);
        hear();
        void ended.then((code) => reject(new Error(`ended with ${code} before it said "${text}":\n${output}`)));
      });
    },
  };
}

/** Every process that serves this folder; PostgreSQL's own children are named by their parent. */
async function childrenOf(path: string): Promise<{ pid: number; argv: string[] }[]> {
  return (await listProcesses()).filter(
    ({ pid, argv }) => pid !== process.pid && argv.some((word) => word === path || word.startsWith(`${path}/`)),
  );
}

const pidOf = async (word: string): Promise<number> => {
  const found = (await childrenOf(folder)).find(({ argv }) => argv.some((one) => one.endsWith(word)));
  if (found === undefined) throw new Error(`no child has ${word} in its command line`);
  return found.pid;
};

const isServing = async (): Promise<boolean> =>
  await fetch(`http://127.0.0.1:${port}/readyz`).then(
    (response) => response.ok,
    () => false,
  );

describe.sequential('trailmark start', () => {
  let first: Run;

  test('starts everything on an empty folder, and says where it is', async () => {
    first = trailmark(['start']);
    await first.says('Ctrl-C stops it');
    expect(first.output()).toContain(`http://127.0.0.1:${port}`);
    expect(await isServing()).toBe(true);
    expect(await childrenOf(folder)).toHaveLength(5);
  }, 120_000);

  test('keeps secrets from other users', async () => {
    const { stat } = await import('node:fs/promises');
    for (const file of ['engines.json', 'secret']) expect((await stat(join(folder, file))).mode & 0o077).toBe(0);
    const { postgres } = JSON.parse(await readFile(join(folder, 'engines.json'), 'utf8')) as {
      postgres: { password: string };
    };
    // A command line is for everyone to read.
    expect(JSON.stringify(await listProcesses())).not.toContain(postgres.password);
  });

  test.skipIf(process.platform !== 'linux')(
    'Temporal tells nothing by HTTP, and none of its ports may be sent to',
    async () => {
      const listening = await listListening([await pidOf('temporal.db')]);
      expect(listening.map(({ host }) => host)).toEqual(listening.map(() => '127.0.0.1'));
      const refused = JSON.parse(await readFile(join(folder, 'refused-addresses.json'), 'utf8')) as string[];
      expect([...refused].sort()).toEqual(listening.map(({ port: one }) => `127.0.0.1:${one}`).sort());
      // Its own API for browsers and scripts, and its pages. What is not HTTP does not answer, and metrics are no secret.
      for (const { port: one } of listening) {
        for (const path of [
          '/',
          '/api/v1/namespaces',
          '/api/v1/namespaces/default/schedules',
          '/namespaces/default/workflows',
        ]) {
          const answer = await fetch(`http://127.0.0.1:${one}${path}`).catch(() => undefined);
          expect(answer?.ok ?? false, `${one}${path}`).toBe(false);
        }
      }
    },
  );

  test('a second start on the folder is refused in a sentence', async () => {
    const second = trailmark(['start'], { TRAILMARK_PORT: '0' });
    expect(await second.ended).toBe(1);
    expect(second.output()).toBe(
      `trailmark: Trailmark already runs on ${folder} (process ${first.child.pid}). Stop it first, or set TRAILMARK_DATA to another folder.\n`,
    );
    expect(await isServing()).toBe(true);
  });

  test('a port in use is refused in a sentence', async () => {
    const second = trailmark(['start'], { TRAILMARK_DATA: join(scratch, 'other') });
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain(`Port ${port} of 127.0.0.1 is in use.`);
    expect(await childrenOf(join(scratch, 'other'))).toEqual([]);
  });

  test('doctor finds nothing wrong, and token makes a token that works', async () => {
    const doctor = trailmark(['doctor']);
    expect(await doctor.ended, doctor.output()).toBe(0);
    const made = trailmark(['token', '--workspace', 'acme', '--name', 'test', '--create']);
    expect(await made.ended, made.output()).toBe(0);
    const token = /tm_token_\S+/.exec(made.output())?.[0] ?? '';
    const answer = await fetch(`http://127.0.0.1:${port}/spaces`, { headers: { authorization: `Bearer ${token}` } });
    expect(answer.status).toBe(200);
  });

  test('deploy says which builds there are, and refuses one that no worker runs', async () => {
    const shown = trailmark(['deploy']);
    expect(await shown.ended, shown.output()).toBe(0);
    expect(shown.output()).toContain('No worker runs under a build id');
    const refused = trailmark(['deploy', '--build-id', 'never-built']);
    expect(await refused.ended).toBe(1);
    expect(refused.output()).toContain('trailmark: No worker has run build never-built.');
    const share = trailmark(['deploy', '--ramp', '10']);
    expect(await share.ended).toBe(1);
    expect(share.output()).toContain('--ramp needs --build-id');
  });

  test.each([
    ['ClickHouse', 'clickhouse'],
    ['Temporal', 'temporal.db'],
    ['PostgreSQL', '/bin/postgres'],
    ['The API', 'api'],
  ])('%s that is killed is started again where it was', async (name, word) => {
    const since = first.output().length;
    const killed = await pidOf(word);
    process.kill(killed, 'SIGKILL');
    await first.says(`${name} ended by itself (signal SIGKILL)`, since);
    await first.says(`${name} is back.`, since);
    expect(await pidOf(word)).not.toBe(killed);
    await expect.poll(isServing, { timeout: 20_000 }).toBe(true);
  });

  test('kill -9 of start itself: the next one recovers, with everything in it', async () => {
    first.child.kill('SIGKILL');
    await first.ended;
    const orphans = await childrenOf(folder);
    expect(orphans.length).toBeGreaterThanOrEqual(2);
    const next = trailmark(['start']);
    await next.says('Ctrl-C stops it');
    const after = await childrenOf(folder);
    expect(after).toHaveLength(5);
    const pids = new Set(orphans.map(({ pid }) => pid));
    expect(after.filter(({ pid }) => pids.has(pid))).toEqual([]);
    const again = trailmark(['token', '--workspace', 'acme', '--name', 'after the kill']);
    expect(await again.ended, again.output()).toBe(0);
    first = next;
  }, 120_000);

  test('SIGTERM ends it with 0 and leaves no child', async () => {
    first.child.kill('SIGTERM');
    expect(await first.ended, first.output()).toBe(0);
    expect(first.output()).toContain('Stopped.');
    expect(await childrenOf(folder)).toEqual([]);
  });
});

describe('what stands in the way', () => {
  test('a folder that is a file', async () => {
    const run = trailmark(['start'], { TRAILMARK_DATA: new URL(import.meta.url).pathname, TRAILMARK_PORT: '0' });
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain('is a file, not a folder.');
  });

  test('a variable that is not valid', async () => {
    const run = trailmark(['start'], { TRAILMARK_PORT: 'none' });
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain('TRAILMARK_PORT');
  });

  test('a kind of work that there is not', async () => {
    const run = trailmark(['worker', '--queues', 'compute,delivery']);
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain('--queues names "delivery". It takes workflows, compute, deliver, alerts');
  });

  test('a given server that is not there', async () => {
    const run = trailmark(['start'], {
      TRAILMARK_DATA: join(scratch, 'given'),
      TRAILMARK_PORT: '0',
      DATABASE_URL: 'postgresql://nobody:secret@127.0.0.1:1/none',
      CLICKHOUSE_URL: 'http://nobody:secret@127.0.0.1:1',
      TEMPORAL_ADDRESS: '127.0.0.1:1',
    });
    expect(await run.ended).toBe(1);
    expect(run.output()).toMatch(
      /trailmark: \w+ at 127\.0\.0\.1:1\S* can't be used: .*correct (DATABASE_URL|CLICKHOUSE_URL|TEMPORAL_ADDRESS)\./,
    );
    expect(run.output()).not.toContain('secret');
  });

  test('no engine runs for a command that needs one', async () => {
    const run = trailmark(['token', '--workspace', 'x', '--name', 'y'], { TRAILMARK_DATA: join(scratch, 'none') });
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain('Run trailmark start first');
  });
});
