import { describe, expect, it } from 'vitest';
import { FairQueue } from '../../src/access/sign-in/fair-queue.ts';

const LIMITS = { atOnce: 2, waitingPerKey: 3, waiting: 5, waitingFirst: 2 };
const wait = async (ms: number): Promise<void> => await new Promise((resolve) => setTimeout(resolve, ms));

describe('a fair queue', () => {
  it('runs no more at once than it may, the keys in turn, and first who goes first', async () => {
    const queue = new FairQueue({ ...LIMITS, atOnce: 1 });
    const done: string[] = [];
    let running = 0;
    const run = async (key: string, name: string, first = false): Promise<void> =>
      await queue.run(key, { first }, async () => {
        running += 1;
        expect(running).toBe(1);
        await wait(2);
        running -= 1;
        done.push(name);
      });
    await Promise.all([
      run('a', 'a1'),
      run('a', 'a2'),
      run('a', 'a3'),
      run('a', 'a4'),
      run('b', 'b1'),
      run('c', 'c1'),
      run('device', 'known', true),
    ]);
    expect(done).toEqual(['a1', 'known', 'a2', 'b1', 'c1', 'a3', 'a4']);
  });

  it('refuses what one key, or all together, has too much of, and keeps room for who goes first', async () => {
    const queue = new FairQueue(LIMITS);
    const outcomes: Promise<string>[] = [];
    const run = (key: string, first = false): void => {
      const work = queue.run(key, { first }, async () => {
        await wait(2);
        return 'done';
      });
      outcomes.push(work.catch((error: unknown) => (error as { code: string }).code));
    };
    for (let n = 0; n < 6; n += 1) run('a');
    for (const key of ['b', 'c', 'd']) run(key);
    for (let n = 0; n < 3; n += 1) run('known', true);
    expect((await Promise.all(outcomes)).join(' ')).toBe(
      'done done done done done sign_in_busy done done sign_in_busy done done sign_in_busy',
    );
  });

  it('goes on after work that failed', async () => {
    const queue = new FairQueue({ ...LIMITS, atOnce: 1 });
    const fails = queue.run('a', { first: false }, async () => {
      await Promise.resolve();
      throw new Error('broken');
    });
    const next = queue.run('a', { first: false }, async () => await Promise.resolve('done'));
    await expect(fails).rejects.toThrow('broken');
    expect(await next).toBe('done');
  });
});
