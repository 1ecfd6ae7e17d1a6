import { RequestError } from '../errors.ts';

/** `pagination[cursor]` and `pagination[count]` of a list, as Segment's Public API names them. */
export interface PaginationInput {
  /** Opaque; from `next`, `previous` or `current` of an earlier answer. Without it: the newest. */
  cursor?: string | undefined;
  /** Rows on a page, 1 to 1000. */
  count: number;
}

/** Segment's PaginationOutput: no `next` on the last page, no `previous` on the first. */
export interface PaginationOutput {
  current: string;
  next?: string;
  previous?: string;
}

/** A place between two rows of a list that is ordered by time and id, newest first. */
export interface PageEdge {
  /** Microseconds since 1970, which is PostgreSQL's own precision: a Date would lose three digits and so rows. */
  micros: number;
  id: string;
}

/** What a list's query is asked for: rows on one side of an edge, the nearest to it first. */
export interface PageRequest {
  side: 'older' | 'newer';
  edge: PageEdge | null;
  limit: number;
}

const MAX_PAGE_COUNT = 1_000;

const START = 'start';
const ID_PATTERN = /^[a-z]{2,8}_[0-9a-z]{26}$/;

/**
 * Reads one page by keyset, in either direction; a page costs the same however deep it is. `fetchRows` answers up to `limit`
 * rows strictly on the asked side of the edge, the nearest first. Throws a RequestError for a count or cursor that is not valid.
 */
export async function readPage<Row extends PageEdge>(
  pagination: PaginationInput,
  fetchRows: (request: PageRequest) => Promise<Row[]>,
): Promise<{ rows: Row[]; pagination: PaginationOutput }> {
  const { count } = pagination;
  if (!Number.isInteger(count) || count < 1 || count > MAX_PAGE_COUNT) {
    throw new RequestError(
      'invalid',
      'count_invalid',
      `pagination[count] is a whole number from 1 to ${MAX_PAGE_COUNT}; ${String(count)} is not.`,
      { field: 'pagination[count]' },
    );
  }
  const current = pagination.cursor ?? encodeCursor('older', null);
  const { side, edge } = decodeCursor(current);
  const found = await fetchRows({ side, edge, limit: count + 1 });
  const more = found.length > count;
  const rows = found.slice(0, count);
  if (side === 'newer') rows.reverse();

  const output: PaginationOutput = { current };
  const [newest, oldest] = [rows[0], rows.at(-1)];
  if (oldest !== undefined && (side === 'newer' || more)) output.next = encodeCursor('older', oldest);
  if (newest !== undefined && (side === 'newer' ? more : edge !== null)) {
    output.previous = encodeCursor('newer', newest);
  }
  return { rows, pagination: output };
}

function encodeCursor(side: PageRequest['side'], edge: PageEdge | null): string {
  const content = edge === null ? [START] : [side, edge.micros, edge.id];
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}

function decodeCursor(cursor: string): { side: PageRequest['side']; edge: PageEdge | null } {
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    throw brokenCursor();
  }
  if (!Array.isArray(content)) throw brokenCursor();
  if (content.length === 1 && content[0] === START) return { side: 'older', edge: null };
  const [side, micros, id] = content as unknown[];
  if (
    content.length !== 3 ||
    (side !== 'older' && side !== 'newer') ||
    typeof micros !== 'number' ||
    !Number.isSafeInteger(micros) ||
    micros < 0 ||
    typeof id !== 'string' ||
    !ID_PATTERN.test(id)
  ) {
    throw brokenCursor();
  }
  return { side, edge: { micros, id } };
}

function brokenCursor(): RequestError {
  return new RequestError(
    'invalid',
    'cursor_invalid',
    'pagination[cursor] is not a cursor of this list. Use `next` or `previous` of an earlier answer as it is, or leave it away to begin with the newest.',
    { field: 'pagination[cursor]' },
  );
}
