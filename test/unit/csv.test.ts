import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvRecord, csvStream } from '../../src/api/answers/csv.ts';

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

const FORMULA = '=+-@＝＋－＠﹦﹢﹣﹫−';
const SEPARATORS = ';\t|\r\n\v\f\u2028\u2029\u0085\u001C';
const UNSEEN = ' \u00A0\u2003\u3000\uFEFF\u200B\u200D\u2060\u00AD\u0000\u0007\u061C\u180E\u3164\u2800\u034F"\'';
const nastyText = fc.string({
  unit: fc.constantFrom(...Array.from(FORMULA + SEPARATORS + UNSEEN), ',', '\r\n', '""', 'a', '1', 'cmd|', '/C'),
  maxLength: 12,
});
const anyText = fc.oneof(nastyText, fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));
const anyRecords = fc.array(fc.array(anyText, { minLength: 1, maxLength: 5 }), { maxLength: 5 });

/**
 * How a spreadsheet splits a file: a quote right behind a separator opens a quoted part, and what follows that up to the next separator
 * is part of the cell; any other quote is a letter. `quotes: false` splits without regard to them.
 */
function spreadsheet(text: string, delimiters: string, quotes: boolean): string[] {
  const cells: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell = '';
    if (quotes && text[at] === '"') {
      at += 1;
      while (at < text.length && (text[at] !== '"' || text[at + 1] === '"')) {
        cell += text[at] ?? '';
        at += text[at] === '"' ? 2 : 1;
      }
      at += 1;
    }
    while (at < text.length && !`${delimiters}\r\n`.includes(text[at] ?? '')) {
      cell += text[at] ?? '';
      at += 1;
    }
    cells.push(cell);
    at += text.startsWith('\r\n', at) ? 2 : 1;
  }
  return cells;
}

/** What is left of a cell once everything is gone that a spreadsheet, or its reader, does not see. */
function seen(cell: string): string {
  return cell.replace(/^[\s\p{Z}\p{C}\p{M}\p{Default_Ignorable_Code_Point}\u2800"]+/u, '');
}

/** Takes away the apostrophes that were put in. */
function undone(cell: string): string {
  const unseen = String.raw`[\p{Z}\p{C}\p{M}\p{DI}\u2800"';\|]`;
  const separator = String.raw`[;\t\|\r\n\v\f\x1c-\x1e\x85\u2028\u2029]`;
  const formula = String.raw`[=⁼₌﹦＝⩵⩶+⁺₊﹢＋﬩\-⁻₋−﹣－@﹫＠]`;
  const inFront = new RegExp(`^'(?=${unseen}*${formula}|'*[\t\r\n])`, 'v');
  const inside = new RegExp(`(${separator})'(?=[${unseen}--${separator}]*${formula})`, 'gv');
  return cell.replace(inside, '$1').replace(inFront, '');
}

describe('a CSV record', () => {
  it.each([
    [['a', 'b'], 'a,b\r\n'],
    [['', null, 400], ',,400\r\n'],
    [['a,b', 'say "hi"', 'two\nlines'], '"a,b","say ""hi""","two\nlines"\r\n'],
    [['=1+1'], "'=1+1\r\n"],
    [['=HYPERLINK("http://evil.example","x")'], '"\'=HYPERLINK(""http://evil.example"",""x"")"\r\n'],
    [['+49 30 1234', '-5', -5, '@SUM(A1)'], "'+49 30 1234,'-5,'-5,'@SUM(A1)\r\n"],
    [['\t=1', '\r=1', '\tx', '\nx'], '"\'\t\'=1","\'\r\'=1","\'\tx","\'\nx"\r\n'],
    // behind white space of any kind, and what shows nothing
    [[' =1', '\u00A0=1', '\uFEFF=1', '\u200B@a', '\u3000+1'], "' =1,'\u00A0=1,'\uFEFF=1,'\u200B@a,'\u3000+1\r\n"],
    // in other forms of the character
    [['＝1+1', '＋1', '－1', '＠a', '−1'], "'＝1+1,'＋1,'－1,'＠a,'−1\r\n"],
    // behind what others split at
    [['x;=1+1', 'x\t@a', 'x|-1', 'x\n +1'], '"x;\'=1+1","x\t\'@a","x|\'-1","x\n\' +1"\r\n'],
    [['x;"=1', '"=1'], '"x;\'""=1","\'""=1"\r\n'],
    // an apostrophe that was there before is another one's text
    [["'=1", "x;'=1", "it's 1"], "''=1,\"x;''=1\",it's 1\r\n"],
    [['x;y', 'a|b', 'a\tb', ' a '], '"x;y","a|b","a\tb"," a "\r\n'],
    [['a=b', '5-3', 'ann@example.com'], 'a=b,5-3,ann@example.com\r\n'],
  ])('of %j is %j', (values, record) => {
    expect(csvRecord(values)).toBe(record);
  });

  it.each([
    ['commas', ',', true],
    ['semicolons', ';', true],
    ['tabs', '\t', true],
    ['bars', '|', true],
    ['commas, semicolons and tabs', ',;\t', true],
    ['semicolons, and knows no quotes', ';', false],
    ['tabs, and knows no quotes', '\t', false],
    ['semicolons, tabs and bars, and knows no quotes', ';\t|', false],
  ])('has no cell that begins a formula for a spreadsheet that splits at %s', (_name, delimiters, quotes) => {
    fc.assert(
      fc.property(anyRecords, (records) => {
        for (const cell of spreadsheet(records.map(csvRecord).join(''), delimiters, quotes)) {
          expect([cell, FORMULA.includes(seen(cell)[0] ?? 'none')]).toEqual([cell, false]);
          if (delimiters === ',') expect([cell, '\t\r\n'.includes(cell[0] ?? 'none')]).toEqual([cell, false]);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('knows every form that a formula’s first character has in Unicode', () => {
    for (let point = 0; point <= 0x10ffff; point += 1) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const character = String.fromCodePoint(point);
      if (!'=+-@−'.includes(character.normalize('NFKC')[0] ?? '')) continue;
      expect(csvRecord([`${character}1`])).toBe(`'${character}1\r\n`);
    }
  });

  it('comes back as it was, once the apostrophes are taken away that were put in', () => {
    fc.assert(
      fc.property(anyRecords, (records) => {
        const read = parse(records.map(csvRecord).join(''));
        expect(read.map((record) => record.map(undone))).toEqual(records);
      }),
      { numRuns: 300 },
    );
  });

  it('comes back as it was where nothing in it begins a formula', () => {
    const harmless = fc.string({ unit: fc.constantFrom('a', '1', ' ', ',', '"', "'", ';', '|', 'é', '\n', '{', ':') });
    fc.assert(
      fc.property(
        fc.array(
          harmless.map((text) => `x${text}`),
          { minLength: 1, maxLength: 5 },
        ),
        (record) => {
          expect(parse(csvRecord(record))).toEqual([record]);
        },
      ),
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
