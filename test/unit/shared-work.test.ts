import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { fixedAnswer } from '../../src/api/answers/fixed-answer.ts';
import { sharedFor } from '../../src/api/answers/shared-for.ts';

describe('a fixed answer', () => {
  const served = (make: () => string | Promise<string>): Hono =>
    new Hono().get('/page', fixedAnswer({ make, contentType: 'text/plain', cacheControl: 'no-cache' }));

  it('is made once, however many ask at the same moment and later', async () => {
    let made = 0;
    const app = served(async () => {
      made += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
      return 'the page';
    });
    const ask = async (): Promise<string> => await (await app.request('/page')).text();
    expect(new Set(await Promise.all(Array.from({ length: 50 }, ask)))).toEqual(new Set(['the page']));
    await ask();
    expect(made).toBe(1);
  });

  it('is made again after it could not be made', async () => {
    let made = 0;
    const app = served(() => {
      made += 1;
      if (made === 1) throw new Error('not yet');
      return 'the page';
    });
    expect((await app.request('/page')).status).toBe(500);
    expect(await (await app.request('/page')).text()).toBe('the page');
  });
});

describe('shared work', () => {
  it('runs once for those who ask while it runs, and for a while after its end', async () => {
    let nowMs = 0;
    let runs = 0;
    let end = (): void => undefined;
    const work = sharedFor(
      1_000,
      async () => {
        runs += 1;
        await new Promise<void>((resolve) => (end = resolve));
        return runs;
      },
      () => nowMs,
    );
    const asked = [work(), work()];
    nowMs = 5_000;
    asked.push(work());
    end();
    expect(await Promise.all(asked)).toEqual([1, 1, 1]);
    nowMs = 5_999;
    expect(await work()).toBe(1);
    nowMs = 6_000;
    const again = work();
    end();
    expect(await again).toBe(2);
  });

  it('shares a failure, and tries again after it', async () => {
    let nowMs = 0;
    let runs = 0;
    const work = sharedFor(
      1_000,
      async () => {
        runs += 1;
        await Promise.resolve();
        if (runs === 1) throw new Error('away');
        return 'back';
      },
      () => nowMs,
    );
    await expect(work()).rejects.toThrow('away');
    await expect(work()).rejects.toThrow('away');
    nowMs = 1_000;
    expect(await work()).toBe('back');
  });
});
