import { readChanges, type Change, type QueryContext } from '../../../compute/index.ts';
import { TaskFailure } from '../../../errors.ts';

/** Reads the changes of one extract. Throws a TaskFailure extract_incomplete where some are missing. */
export interface ChangeReader {
  /** Changes [from, to), in order. */
  range(from: number, to: number): Promise<Change[]>;
  /** These changes, in order. */
  some(indexes: readonly number[]): Promise<Change[]>;
}

/** So many come by one query, whatever a destination takes at once. Two pages are in memory: a few megabytes. */
const PAGE_CHANGES = 4_096;

interface Page {
  from: number;
  to: number;
  changes: Promise<Change[]>;
}

/** A reader of an extract of so many changes. One who reads them in order finds the next page read already. */
export function createChangeReader(context: QueryContext, extractId: number, total: number): ChangeReader {
  let current: Page | undefined;
  let next: Page | undefined;

  async function read(which: { from: number; to: number } | { also: readonly number[] }, expected: number) {
    const changes = await readChanges(context, extractId, which);
    if (changes.length === expected) return changes;
    throw new TaskFailure(
      'extract_incomplete',
      `extract ${extractId} gave ${changes.length} changes where there should be ${expected}`,
    );
  }

  function readPage(from: number): Page {
    const to = Math.min(from + PAGE_CHANGES, total);
    const changes = read({ from, to }, to - from);
    // Whoever comes to the page hears of it.
    changes.catch(() => undefined);
    return { from, to, changes };
  }

  function pageAt(index: number): Page {
    if (current !== undefined && index >= current.from && index < current.to) return current;
    current = next?.from === index ? next : readPage(index);
    next = current.to < total ? readPage(current.to) : undefined;
    return current;
  }

  return {
    range: async (from, to) => {
      const changes: Change[] = [];
      for (let at = from; at < to;) {
        const page = pageAt(at);
        const end = Math.min(to, page.to);
        for (const change of (await page.changes).slice(at - page.from, end - page.from)) changes.push(change);
        at = end;
      }
      return changes;
    },
    some: async (indexes) => await read({ also: indexes }, indexes.length),
  };
}
