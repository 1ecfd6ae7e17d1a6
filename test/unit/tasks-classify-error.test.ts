import { ClickHouseError } from '@clickhouse/client';
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { isFailureCode, RequestError, TaskFailure } from '../../src/errors.ts';
import { parseQuery } from '../../src/query/index.ts';
import { classifyError } from '../../src/tasks/index.ts';

function serverError(code: string): Error {
  return Object.assign(new Error('said the server'), { name: 'error', severity: 'ERROR', code });
}

function networkError(code: string): Error {
  return Object.assign(new Error(`connect ${code} 127.0.0.1:8123`), { code });
}

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('PostgreSQL', () => {
  test.each([
    [
      'postgres_unavailable',
      ['57P01', '57P02', '57P03', '57P05', '53300', '53400', '08006', '08P01', '58030', 'XX000'],
    ],
    ['postgres_exhausted', ['53100', '53200']],
    ['postgres_read_only', ['25006']],
    ['postgres_contention', ['40001', '40P01', '40003', '55P03', '57014', '25P03', '25P04']],
    ['postgres_refused', ['28P01', '28000', '3D000', '42501']],
    // A constraint, a type, a column: a defect, or the schema of another version.
    ['postgres_statement', ['23505', '23503', '23514', '22P02', '42703', '42P01', '42601', '25P02', '0A000']],
  ])('%s: SQLSTATE %j', (code, states) => {
    for (const state of states) expect(classifyError(serverError(state)).code, state).toBe(code);
  });

  test('keeps what it said as the detail', () => {
    const error = serverError('40P01');
    expect(classifyError(error)).toMatchObject({ detail: 'error: said the server', cause: error });
    expect(classifyError(new Error('commit failed', { cause: error })).code).toBe('postgres_contention');
  });

  test('its driver, by where an error was made; a mistake of ours under the driver is none of it', () => {
    const madeInDriver = (error: Error): Error =>
      Object.assign(error, { stack: 'Error\n at /app/node_modules/pg/lib/client.js:1' });
    expect(classifyError(madeInDriver(new Error('Connection terminated unexpectedly'))).code).toBe(
      'postgres_unavailable',
    );
    // Thrown by our own parser of bigints, which the driver calls.
    const parse = pg.types.getTypeParser(pg.types.builtins.INT8) as (text: string) => number;
    const error = thrownBy(() => parse('99999999999999999999')) as Error;
    expect(classifyError(madeInDriver(error)).code).toBe('unknown');
  });
});

describe('ClickHouse', () => {
  test.each([
    ['clickhouse_query', [36, 42, 43, 53, 62, 184, 215, 386, 427, 456]],
    ['clickhouse_schema', [16, 46, 47, 60, 63, 81, 115, 344]],
    ['clickhouse_memory', [158, 191, 241, 307, 396]],
    ['clickhouse_timeout', [159, 160]],
    ['clickhouse_overloaded', [173, 201, 202, 252, 439, 745]],
    ['clickhouse_unavailable', [209, 210, 225, 236, 285, 319, 999]],
    ['clickhouse_read_only', [164, 242]],
    ['clickhouse_refused', [192, 193, 194, 497, 516]],
    ['clickhouse_exhausted', [243]],
    ['clickhouse_killed', [394]],
    ['clickhouse_failed', [49, 70, 153, 407, 1_001, 1_002]],
  ])('%s: %j', (code, numbers) => {
    for (const number of numbers) {
      const error = new ClickHouseError({ message: 'no', code: String(number), type: 'X' });
      expect(classifyError(error).code, String(number)).toBe(code);
    }
  });

  test.each([
    ['(total) memory limit exceeded: would use 9.00 GiB', 'clickhouse_overloaded'],
    ['Memory limit (total) exceeded: would use 9.00 GiB', 'clickhouse_overloaded'],
    ['(for query) memory limit exceeded: would use 9.00 GiB', 'clickhouse_memory'],
    ['Query memory limit exceeded: would use 9.00 GiB', 'clickhouse_memory'],
  ])('of all queries together, or of this one: %s', (message, code) => {
    expect(classifyError(new ClickHouseError({ message, code: '241', type: 'MEMORY_LIMIT_EXCEEDED' })).code).toBe(code);
  });

  test('a full disk is one, whatever the number', () => {
    const message = 'Cannot write to file, errno: 28, strerror: No space left on device';
    expect(classifyError(new ClickHouseError({ message, code: '75', type: 'X' })).code).toBe('clickhouse_exhausted');
  });

  test.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH'])(
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
});

describe('what else there is', () => {
  test('a definition that does not parse, or leads back to itself, is hard', () => {
    expect(classifyError(thrownBy(() => parseQuery('event('))).code).toBe('definition_invalid');
    expect(classifyError(new RequestError('invalid', 'definition_cycle', 'a → b → a')).code).toBe('definition_cycle');
    expect(classifyError(new RequestError('conflict', 'key_taken', 'taken')).code).toBe('unknown');
  });

  test.each(['EMFILE', 'ENOSPC', 'ENOMEM', 'ERR_WORKER_OUT_OF_MEMORY'])('%s is the worker’s', (code) => {
    expect(classifyError(networkError(code)).code).toBe('worker_exhausted');
  });

  test('memory that could not be had is the worker’s too', () => {
    expect(classifyError(new RangeError('Array buffer allocation failed')).code).toBe('worker_exhausted');
    expect(classifyError(new RangeError('Invalid array length')).code).toBe('unknown');
  });

  test('what a step was stopped by is a lost worker', () => {
    const aborted = thrownBy(() => AbortSignal.abort().throwIfAborted());
    expect(classifyError(aborted).code).toBe('worker_lost');
    expect(classifyError(Object.assign(new Error('x'), { name: 'CancelledFailure' })).code).toBe('worker_lost');
  });

  test('a failure stays what it is, and what nobody knows is unknown', () => {
    const failure = new TaskFailure('destination_timeout', 'slow');
    expect(classifyError(failure)).toBe(failure);
    expect(classifyError(new TypeError('x is undefined'))).toMatchObject({
      code: 'unknown',
      detail: 'TypeError: x is undefined',
    });
    expect(classifyError('a string').detail).toBe('a string');
    expect(classifyError(undefined).code).toBe('unknown');
  });

  test('a cause that goes round, a getter that throws, a proxy that was revoked', () => {
    const round = new Error('round');
    round.cause = round;
    const touchy = Object.defineProperty(new Error('touchy'), 'code', {
      get: () => {
        throw new Error('hands off');
      },
    });
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const error of [round, touchy, proxy, Object.create(null), Symbol('s'), 1n]) {
      expect(classifyError(error).code).toBe('unknown');
    }
  });

  test('whatever was thrown has a code, and a detail', () => {
    const value = fc.anything({ withNullPrototype: true, withBigInt: true, withSparseArray: true });
    const properties = fc.record(
      { name: value, message: value, code: value, severity: value, cause: value, errors: value, stack: value },
      { requiredKeys: [] },
    );
    const thrown = fc.oneof(
      value,
      properties,
      properties.map((all) => Object.assign(new Error('x'), all)),
    );
    fc.assert(
      fc.property(thrown, (error) => {
        const failure = classifyError(error);
        expect(isFailureCode(failure.code)).toBe(true);
        expect(typeof failure.detail).toBe('string');
      }),
      { numRuns: 1_000 },
    );
  });
});
