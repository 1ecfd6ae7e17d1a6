// A spreadsheet takes a cell that begins with one of these for a formula, and a formula can send what stands beside it away.
const FORMULA = /^[=+\-@\t\r\n]/;
const NEEDS_QUOTES = /["\r\n,]/;

type CsvValue = string | number | null;

/**
 * One record of RFC 4180, with its line end. null is an empty cell. A text that a spreadsheet would take for a formula gets an
 * apostrophe in front; our own numbers (counts, statuses) are never negative and stay numbers.
 */
export function csvRecord(values: readonly CsvValue[]): string {
  return `${values.map(csvCell).join(',')}\r\n`;
}

function csvCell(value: CsvValue): string {
  if (value === null) return '';
  const text = String(value);
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
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
