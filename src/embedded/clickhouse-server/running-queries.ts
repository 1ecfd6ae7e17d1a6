import { stripComments } from './read-request.ts';
import type { QueryRequest } from './read-request.ts';

/** The queries that are under way, by the ids that their clients gave them; the engine has ids of its own. */
export interface RunningQueries {
  /** Until what this returns is called, `end` ends the query with this id. */
  add(queryId: string, end: () => void): () => void;
  /** Ends every query with this id, and returns how many there were. */
  end(queryId: string): number;
}

export function createRunningQueries(): RunningQueries {
  const running = new Map<string, Set<() => void>>();
  return {
    add(queryId, end) {
      const same = running.get(queryId) ?? new Set();
      running.set(queryId, same.add(end));
      return () => {
        same.delete(end);
        if (same.size === 0) running.delete(queryId);
      };
    },
    end(queryId) {
      const ends = [...(running.get(queryId) ?? [])];
      for (const end of ends) end();
      return ends.length;
    },
  };
}

/** The id that `KILL QUERY WHERE query_id = '…' ASYNC` names, as text or as a parameter; undefined for any other statement. */
export function killedBy(request: Pick<QueryRequest, 'sql' | 'params'>): string | undefined {
  const named =
    /^KILL\s+QUERY\s+WHERE\s+query_id\s*=\s*(?:'([^'\\]*)'|\{\s*(\w+)\s*:\s*String\s*\})\s+ASYNC\s*(?:FORMAT\s+\w+\s*)?;?\s*$/i.exec(
      stripComments(request.sql),
    );
  return named?.[1] ?? request.params[named?.[2] ?? ''];
}
