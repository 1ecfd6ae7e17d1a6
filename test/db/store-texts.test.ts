import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cutText } from '../../src/cut-text.ts';
import { jsonText } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';
import { NASTY_TEXTS } from '../helpers/nasty.ts';

let stores: TestPool;

beforeAll(async () => {
  stores = await createTestPool();
});
afterAll(async () => {
  await stores?.close();
});

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  // Units of UTF-16 one by one: halves of pairs, NUL.
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.constantFrom(...NASTY_TEXTS.filter(({ text }) => text.length < 10_000).map(({ text }) => text)),
);

async function store(text: string): Promise<{ text: string; list: string[]; json: unknown; given: unknown }> {
  const { rows } = await stores.pool.query<{ text: string; list: string[]; json: unknown; given: unknown }>(
    'select $1::text as text, $2::text[] as list, $3::jsonb as json, $4::jsonb as given',
    [text, [text, 'b'], jsonText({ [text]: [text, { deep: text }] }), { [text]: text }],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('no row');
  return row;
}

describe('what is bound to a statement', () => {
  test.each(NASTY_TEXTS)('$name is stored', async ({ text, storable }) => {
    const stored = await store(text);
    const kept = storable ? text : text.replaceAll('\0', '\ufffd').toWellFormed();
    expect(stored.text).toBe(kept);
    expect(stored.list).toEqual([kept, 'b']);
    expect(stored.json).toEqual({ [kept]: [kept, { deep: kept }] });
    expect(stored.given).toEqual({ [kept]: kept });
  });

  test('whatever text there is, no statement is refused for it, and what can be kept is kept', async () => {
    await fc.assert(
      fc.asyncProperty(anyText, async (text) => {
        const kept = text.replaceAll('\0', '\ufffd').toWellFormed();
        expect(await store(text)).toEqual({
          text: kept,
          list: [kept, 'b'],
          json: { [kept]: [kept, { deep: kept }] },
          given: { [kept]: kept },
        });
      }),
      { numRuns: 300 },
    );
  });

  test('the values of a named statement are, and those of a transaction', async () => {
    const client = await stores.pool.connect();
    try {
      const values = ['a\0b'];
      const query = { name: 'texts', text: 'select $1::text as text', values };
      expect((await client.query<{ text: string }>(query)).rows).toEqual([{ text: 'a\ufffdb' }]);
      expect((await client.query<{ text: string }>(query, values)).rows).toEqual([{ text: 'a\ufffdb' }]);
      // The caller's own are left alone.
      expect(values).toEqual(['a\0b']);
    } finally {
      client.release();
    }
  });

  test('times, bytes and numbers are bound as they are', async () => {
    const at = new Date('2026-01-31T12:00:00.123Z');
    const { rows } = await stores.pool.query(
      'select $1::timestamptz as at, $2::bytea as bytes, $3::int as number, $4::boolean as yes, $5::text as none, $6::int[] as numbers',
      [at, Buffer.from([0, 255]), 7, true, null, [1, null]],
    );
    expect(rows).toEqual([{ at, bytes: Buffer.from([0, 255]), number: 7, yes: true, none: null, numbers: [1, null] }]);
  });
});

describe('a text that is cut', () => {
  test('says so, and ends at a character', () => {
    expect(cutText('short', 5)).toBe('short');
    expect(cutText('longer', 5)).toBe('long…');
    expect(cutText('abc😀de', 5)).toBe('abc…');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 50 }), (text, max) => {
        const cut = cutText(text, max);
        expect(cut.length).toBeLessThanOrEqual(max);
        if (text.isWellFormed()) expect(cut.isWellFormed()).toBe(true);
        if (text.length <= max) expect(cut).toBe(text);
      }),
    );
  });
});
