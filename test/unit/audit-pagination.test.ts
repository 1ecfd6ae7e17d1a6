import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPage, type PageEdge, type PageRequest } from '../../src/audit/index.ts';

const id = (number: number) => `evt_${String(number).padStart(26, '0')}`;

/** A list in memory, newest first, that answers as a keyset query does. */
function listOf(rows: PageEdge[]) {
  const newestFirst = rows.toSorted((a, b) => b.micros - a.micros || (a.id < b.id ? 1 : -1));
  const isOlder = (row: PageEdge, edge: PageEdge) =>
    row.micros < edge.micros || (row.micros === edge.micros && row.id < edge.id);
  const fetchRows = ({ side, edge, limit }: PageRequest) => {
    const found =
      side === 'older'
        ? newestFirst.filter((row) => edge === null || isOlder(row, edge))
        : newestFirst.filter((row) => edge !== null && isOlder(edge, row)).toReversed();
    return Promise.resolve(found.slice(0, limit));
  };
  return { newestFirst, fetchRows };
}

const anyRows = fc
  .uniqueArray(fc.record({ micros: fc.integer({ min: 0, max: 5 }), number: fc.integer({ min: 0, max: 60 }) }), {
    selector: (row) => row.number,
    maxLength: 40,
  })
  .map((rows) => rows.map((row) => ({ micros: row.micros, id: id(row.number) })));

describe('readPage', () => {
  test('following next gives every row once, in order, also where times are equal; previous leads back', async () => {
    await fc.assert(
      fc.asyncProperty(anyRows, fc.integer({ min: 1, max: 7 }), async (rows, count) => {
        const list = listOf(rows);
        const pages: PageEdge[][] = [];
        let cursor: string | undefined;
        let lastPrevious: string | undefined;
        for (;;) {
          const page = await readPage({ cursor, count }, list.fetchRows);
          pages.push(page.rows);
          lastPrevious = page.pagination.previous;
          expect(lastPrevious === undefined).toBe(pages.length === 1);
          if (page.pagination.next === undefined) break;
          cursor = page.pagination.next;
        }
        expect(pages.flat()).toEqual(list.newestFirst);
        for (let at = pages.length - 2; at >= 0; at--) {
          const page = await readPage({ cursor: lastPrevious, count }, list.fetchRows);
          expect(page.rows).toEqual(pages[at]);
          expect(page.pagination.next).toBeDefined();
          lastPrevious = page.pagination.previous;
        }
        expect(lastPrevious).toBeUndefined();
      }),
    );
  });

  test('current gives the same page again', async () => {
    const list = listOf([1, 2, 3, 4, 5].map((number) => ({ micros: number, id: id(number) })));
    const first = await readPage({ count: 2 }, list.fetchRows);
    const again = await readPage({ count: 2, cursor: first.pagination.current }, list.fetchRows);
    expect(again).toEqual(first);
  });

  test('any text that is not a cursor is refused by name, and never reaches the query', async () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const broken = fc.oneof(
      fc.string(),
      fc.json().map((json) => Buffer.from(json).toString('base64url')),
      fc.constantFrom(
        encode(['older', -1, id(1)]),
        encode(['older', 1.5, id(1)]),
        encode(['older', 1, "' or true --"]),
        encode(['sideways', 1, id(1)]),
        encode(['older', 1, id(1), 1]),
        encode(['older', 1]),
      ),
    );
    await fc.assert(
      fc.asyncProperty(broken, async (cursor) => {
        await expect(
          readPage({ count: 1, cursor }, () => {
            throw new Error('the query was asked');
          }),
        ).rejects.toMatchObject({ kind: 'invalid', code: 'cursor_invalid', field: 'pagination[cursor]' });
      }),
    );
  });

  test.each([0, -1, 1001, 1.5, Number.NaN])('a count of %d is refused by name', async (count) => {
    await expect(readPage({ count }, () => Promise.resolve([]))).rejects.toMatchObject({
      code: 'count_invalid',
      field: 'pagination[count]',
    });
  });
});
