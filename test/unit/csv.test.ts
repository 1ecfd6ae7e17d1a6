import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvRecord, csvStream } from '../../src/api/csv.ts';

/** RFC 4180 as it is written: records of cells, quotes doubled inside quotes, CRLF at each record's end. */
function parse(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell = '';
    if (text[at] === '"') {
      at += 1;
      while (text[at] !== '"' || text[at + 1] === '"') {
        if (at >= text.length) throw new Error('a quote was never closed');
        cell += text[at] === '"' ? '"' : (text[at] ?? '');
        at += text[at] === '"' ? 2 : 1;
      }
      at += 1;
    } else {
      while (at < text.length && text[at] !== ',' && text[at] !== '\r') {
        if (text[at] === '"' || text[at] === '\n') throw new Error('a bare quote or line feed');
        cell += text[at] ?? '';
        at += 1;
      }
    }
    record.push(cell);
    if (text[at] === ',') at += 1;
    else if (text.startsWith('\r\n', at)) {
      records.push(record);
      record = [];
      at += 2;
    } else throw new Error(`neither a comma nor a line end at ${at}`);
  }
  return records;
}

const DANGEROUS = ['=', '+', '-', '@', '\t', '\r', '\n'];
const anyText = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.tuple(fc.constantFrom(...DANGEROUS, '"', ',', "'", ' '), fc.string()).map((parts) => parts.join('')),
  fc.string({ unit: fc.constantFrom('"', ',', '\r', '\n', '\r\n', 'a', '=', "'") }),
);

describe('a CSV record', () => {
  it.each([
    [['a', 'b'], 'a,b\r\n'],
    [['', null, 400], ',,400\r\n'],
    [['a,b', 'say "hi"', 'two\nlines'], '"a,b","say ""hi""","two\nlines"\r\n'],
    [['=1+1'], "'=1+1\r\n"],
    [['=HYPERLINK("http://evil.example","x")'], '"\'=HYPERLINK(""http://evil.example"",""x"")"\r\n'],
    [['+49 30 1234', '-5', '@SUM(A1)', '\t=1', '\r=1'], "'+49 30 1234,'-5,'@SUM(A1),'\t=1,\"'\r=1\"\r\n"],
    [['a=b', '5-3', 'ann@example.com'], 'a=b,5-3,ann@example.com\r\n'],
  ])('of %j is %j', (values, record) => {
    expect(csvRecord(values)).toBe(record);
  });

  it('comes back as it was, but for an apostrophe before what a spreadsheet would take for a formula', () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyText, { minLength: 1, maxLength: 5 }), { maxLength: 5 }), (records) => {
        const text = records.map(csvRecord).join('');
        const expected = records.map((record) =>
          record.map((cell) => (DANGEROUS.includes(cell[0] ?? '') ? `'${cell}` : cell)),
        );
        expect(parse(text)).toEqual(expected);
        for (const cell of parse(text).flat()) expect(DANGEROUS).not.toContain(cell[0]);
      }),
    );
  });
});

describe('a CSV stream', () => {
  async function* batches(count: number, asked: { count: number; ended: boolean }): AsyncGenerator<string[][]> {
    try {
      for (let index = 0; index < count; index += 1) {
        asked.count += 1;
        yield await Promise.resolve([[`row ${index}`]]);
      }
    } finally {
      asked.ended = true;
    }
  }

  it('is the header and then every batch', async () => {
    const asked = { count: 0, ended: false };
    const text = await new Response(csvStream(['name'], batches(3, asked))).text();
    expect(text).toBe('name\r\nrow 0\r\nrow 1\r\nrow 2\r\n');
    expect(asked).toEqual({ count: 3, ended: true });
  });

  it('asks for no more than is read, and for nothing once its reader has gone', async () => {
    const asked = { count: 0, ended: false };
    const reader = csvStream(['name'], batches(1_000, asked)).getReader();
    await reader.read();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked.count).toBeLessThanOrEqual(2);
    await reader.cancel();
    expect(asked.ended).toBe(true);
  });

  it('breaks off where the rows do, and does not end as if it were whole', async () => {
    async function* broken(): AsyncGenerator<string[][]> {
      yield await Promise.resolve([['row']]);
      throw new Error('the database went away');
    }
    await expect(new Response(csvStream(['name'], broken())).text()).rejects.toThrow('the database went away');
  });
});
