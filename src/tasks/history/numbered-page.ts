import type { PaginationInput, PaginationOutput } from '../../audit/index.ts';
import { RequestError } from '../../errors.ts';

/** Rows on one side of a number, the nearest to it first. */
export interface NumberedPageRequest {
  side: 'after' | 'before';
  /** Not included; null is the beginning. */
  edge: number | null;
  limit: number;
}

/**
 * Reads one page, by keyset, of a list that is ordered by a number of its own, smallest first: rejected rows by their place,
 * profiles by theirs. `fetchRows` answers up to `limit` rows strictly on the asked side of the edge, the nearest first. Throws
 * RequestError `cursor_invalid`.
 */
export async function readNumberedPage<Row>(
  { cursor, count }: PaginationInput,
  numberOf: (row: Row) => number,
  fetchRows: (request: NumberedPageRequest) => Promise<Row[]>,
): Promise<{ rows: Row[]; pagination: PaginationOutput }> {
  const current = cursor ?? encode('after', null);
  const { side, edge } = decode(current);
  const found = await fetchRows({ side, edge, limit: count + 1 });
  const more = found.length > count;
  const rows = found.slice(0, count);
  if (side === 'before') rows.reverse();

  const pagination: PaginationOutput = { current };
  const [first, last] = [rows[0], rows.at(-1)];
  if (last !== undefined && (side === 'before' || more)) pagination.next = encode('after', numberOf(last));
  if (first !== undefined && (side === 'before' ? more : edge !== null)) {
    pagination.previous = encode('before', numberOf(first));
  }
  return { rows, pagination };
}

function encode(side: NumberedPageRequest['side'], edge: number | null): string {
  return Buffer.from(edge === null ? 'start' : `${side}:${edge}`).toString('base64url');
}

function decode(cursor: string): Pick<NumberedPageRequest, 'side' | 'edge'> {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (text === 'start') return { side: 'after', edge: null };
  const [, side, edge] = /^(after|before):(\d{1,10})$/.exec(text) ?? [];
  // Both lists are numbered by PostgreSQL's integer.
  if (side === undefined || Number(edge) > 2_147_483_647) {
    throw new RequestError(
      'invalid',
      'cursor_invalid',
      'pagination[cursor] is not a cursor of this list. Use `next` or `previous` of an earlier answer as it is, or leave it away to begin with the first row.',
      { field: 'pagination[cursor]' },
    );
  }
  return { side: side === 'before' ? 'before' : 'after', edge: Number(edge) };
}
