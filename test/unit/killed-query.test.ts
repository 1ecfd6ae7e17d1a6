import { describe, expect, test } from 'vitest';
import { createRunningQueries, killedBy } from '../../src/embedded/clickhouse-server/running-queries.ts';

describe('KILL QUERY by the id of a client', () => {
  test.each([
    [`KILL QUERY WHERE query_id = 'a-1' ASYNC`, 'a-1'],
    [`-- enough\nkill query where query_id='a-1' async FORMAT JSONEachRow;`, 'a-1'],
    ['KILL QUERY WHERE query_id = {id:String} ASYNC', 'from a parameter'],
    ['KILL QUERY WHERE query_id = {other:String} ASYNC', undefined],
    // By anything else it is for the engine, which has ids of its own.
    [`KILL QUERY WHERE user = 'trailmark' ASYNC`, undefined],
    [`KILL QUERY WHERE query_id = 'a-1' SYNC`, undefined],
    [`KILL QUERY WHERE query_id = 'a-1' OR 1 ASYNC`, undefined],
    [`SELECT 'KILL QUERY WHERE query_id = ''a'' ASYNC'`, undefined],
  ])('%s', (sql, id) => {
    expect(killedBy({ sql, params: { id: 'from a parameter' } })).toBe(id);
  });

  test('ends all that have it, and none that has ended', () => {
    const queries = createRunningQueries();
    const ends: string[] = [];
    const forget = queries.add('a', () => ends.push('first'));
    queries.add('a', () => ends.push('second'));
    queries.add('b', () => ends.push('other'));
    expect(queries.end('a')).toBe(2);
    forget();
    expect(queries.end('a')).toBe(1);
    expect(queries.end('nobody')).toBe(0);
    expect(ends).toEqual(['first', 'second', 'second']);
  });
});
