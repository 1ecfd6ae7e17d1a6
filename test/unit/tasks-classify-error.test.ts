import { ClickHouseError } from '@clickhouse/client';
import { describe, expect, test } from 'vitest';
import { TaskFailure } from '../../src/errors.ts';
import { parseQuery } from '../../src/query/index.ts';
import { classifyError } from '../../src/tasks/index.ts';

function serverError(code: string): Error {
  return Object.assign(new Error('said the server'), { name: 'error', severity: 'ERROR', code });
}

function networkError(code: string): Error {
  return Object.assign(new Error(`connect ${code} 127.0.0.1:8123`), { code });
}

describe('what an error of a step is', () => {
  test.each([
    ['57P01', 'postgres_unavailable'],
    ['57P02', 'postgres_unavailable'],
    ['57P03', 'postgres_unavailable'],
    ['53300', 'postgres_unavailable'],
    ['53100', 'postgres_unavailable'],
    ['08006', 'postgres_unavailable'],
    ['40P01', 'postgres_unavailable'],
    ['40001', 'postgres_unavailable'],
    ['25006', 'postgres_unavailable'],
    ['58030', 'postgres_unavailable'],
    ['42703', 'unknown'],
    ['23505', 'unknown'],
  ])('PostgreSQL said %s: %s', (sqlState, code) => {
    expect(classifyError(serverError(sqlState)).code).toBe(code);
  });

  test.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND'])(
    '%s that bears no other mark is ClickHouse',
    (code) => {
      expect(classifyError(networkError(code)).code).toBe('clickhouse_unavailable');
    },
  );

  test('several addresses that refused are one answer, with a detail that says something', () => {
    const error = Object.assign(new AggregateError([networkError('ECONNREFUSED'), networkError('ECONNREFUSED')]), {
      code: 'ECONNREFUSED',
    });
    const failure = classifyError(error);
    expect(failure.code).toBe('clickhouse_unavailable');
    expect(failure.detail).toContain('ECONNREFUSED');
  });

  test.each([
    ['241', 'clickhouse_memory'],
    ['47', 'clickhouse_query'],
  ])('ClickHouse said %s: %s', (number, code) => {
    expect(classifyError(new ClickHouseError({ message: 'no', code: number, type: 'X' })).code).toBe(code);
  });

  test('a definition that does not parse is hard', () => {
    const failure = (() => {
      try {
        parseQuery('event(');
      } catch (error) {
        return classifyError(error);
      }
      return null;
    })();
    expect(failure?.code).toBe('definition_invalid');
  });

  test('a failure stays what it is, and what nobody knows is unknown', () => {
    const failure = new TaskFailure('destination_timeout', 'slow');
    expect(classifyError(failure)).toBe(failure);
    expect(classifyError(new TypeError('x is undefined')).code).toBe('unknown');
    expect(classifyError('a string').detail).toBe('a string');
    expect(classifyError(undefined).code).toBe('unknown');
  });
});
