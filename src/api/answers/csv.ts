/*
 * A spreadsheet takes a cell that begins with a formula's first character for a formula, and a formula can send away what stands beside it, or
 * start a program. Which characters begin a cell depends on who opens the file: in half of Europe a spreadsheet splits at semicolons, after a
 * double click some split at tabs or bars, and where a quote does not stand right behind a separator it is a letter like any other.
 */

// What shows nothing in front of a formula and does not save anyone: white space of every kind, control and format characters (a byte order
// mark, zero widths, marks of direction), combining marks, what Unicode calls ignorable, the empty Braille cell, and quotes, which a
// spreadsheet takes off. Not what separates cells: behind that another cell begins.
const SEPARATOR = String.raw`[;\t\|\r\n\v\f\x1c-\x1e\x85\u2028\u2029]`;
const UNSEEN_OR_SEPARATOR = String.raw`[\p{Z}\p{C}\p{M}\p{DI}\u2800"';\|]`;
const UNSEEN = `[${UNSEEN_OR_SEPARATOR}--${SEPARATOR}]`;
// = + - @, and every character that is one of them in another width or form (Unicode's compatibility forms), for which spreadsheets with
// an East Asian locale take them.
const FORMULA = String.raw`[=⁼₌﹦＝⩵⩶+⁺₊﹢＋﬩\-⁻₋−﹣－@﹫＠]`;

const BEGINS_UNSAFE = new RegExp(String.raw`^(?:${UNSEEN_OR_SEPARATOR}*${FORMULA}|'*[\t\r\n])`, 'v');
const UNSAFE_BEHIND_SEPARATOR = new RegExp(String.raw`(${SEPARATOR})(?=${UNSEEN}*${FORMULA})`, 'gv');
const NEEDS_QUOTES = new RegExp(String.raw`[,"]|${SEPARATOR}|^\s|\s$`, 'v');

type CsvValue = string | number | null;

/**
 * One record of RFC 4180, with its line end. null is an empty cell. Whatever separator a spreadsheet splits it at, a comma, semicolon, tab or
 * bar, no cell of it begins with what would be taken for a formula, or with a tab or line end: an apostrophe stands in front. That goes
 * for -5 and +49 30 1234 as well: the one may begin a formula, and the other would lose its plus. In cells that need no apostrophe
 * nothing changes.
 */
export function csvRecord(values: readonly CsvValue[]): string {
  return `${values.map(csvCell).join(',')}\r\n`;
}

function csvCell(value: CsvValue): string {
  if (value === null) return '';
  const safe = withoutFormulas(String(value));
  return NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * Puts an apostrophe in front of a text, and behind each separator in it, where a formula would begin. Nothing is lost: whoever takes one
 * apostrophe away in front of each such place has the text as it was, because apostrophes that stood there before count as unseen.
 */
function withoutFormulas(text: string): string {
  const inside = text.replace(UNSAFE_BEHIND_SEPARATOR, "$1'");
  return BEGINS_UNSAFE.test(text) ? `'${inside}` : inside;
}

/**
 * A CSV file as a stream of UTF-8: the header, then a chunk for each batch. A batch is only asked for once the one before it was
 * taken, so a slow reader costs the memory of one. An error in the middle breaks the stream off: a file that ends early must
 * not look whole.
 */
export function csvStream(
  header: readonly string[],
  batches: AsyncIterable<readonly (readonly CsvValue[])[]>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = batches[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(encoder.encode(csvRecord(header)));
      },
      async pull(controller) {
        const next = await iterator.next();
        if (next.done === true) controller.close();
        else controller.enqueue(encoder.encode(next.value.map(csvRecord).join('')));
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 1 },
  );
}
