import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FAILURES, isFailureCode, TaskFailure, type FailureCode } from '../../src/errors.ts';

const CODES = Object.keys(FAILURES).filter(isFailureCode);
const root = join(import.meta.dirname, '../..');

describe('the taxonomy', () => {
  test.each(CODES)('%s says what happened and what to do, in sentences', (code) => {
    const { class: failureClass, counts, sentence, action } = FAILURES[code];
    expect(['transient', 'hard']).toContain(failureClass);
    expect(typeof counts).toBe('boolean');
    for (const text of [sentence, action]) {
      expect(text).toMatch(/^[A-Z][^\n]{15,}\.$/);
      expect(text).not.toMatch(/ {2}|\s\.|\bthe the\b|\ba [aeio]\w|undefined|\betc\b/);
      expect(text.length).toBeLessThan(160);
    }
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
  });

  test('no two say the same', () => {
    expect(new Set(CODES.map((code) => FAILURES[code].sentence)).size).toBe(CODES.length);
  });

  test('what to do never waits for a retry of what is not tried again', () => {
    for (const code of CODES.filter((one) => FAILURES[one].class === 'hard')) {
      expect(FAILURES[code].action, code).not.toMatch(/tried again|if it lasts/i);
    }
    // The same words are read after the last attempt.
    for (const code of CODES) expect(FAILURES[code].action, code).not.toMatch(/^Nothing(\.| yet)/);
  });

  test('an error that nobody knows is transient, and says so', () => {
    expect(FAILURES.unknown).toMatchObject({ class: 'transient', sentence: expect.stringContaining('may heal') });
  });

  test('a failure of what all computations share is transient and never counts; one of a definition or destination does', () => {
    const shared = CODES.filter((code) => /^(postgres|worker)_|_(sealed|missing|uncomputed|incomplete)$/.test(code));
    for (const code of shared) expect(FAILURES[code].counts, code).toBe(false);
    const clickhouse = CODES.filter((code) => code.startsWith('clickhouse_') && FAILURES[code].counts);
    expect(clickhouse).toEqual(['clickhouse_memory', 'clickhouse_timeout', 'clickhouse_query', 'clickhouse_failed']);
    const own = CODES.filter((code) => /^(definition|destination)_/.test(code) && !shared.includes(code));
    for (const code of own) expect(FAILURES[code].counts, code).toBe(true);
    for (const code of CODES) {
      if (FAILURES[code].class === 'hard' && !FAILURES[code].counts) expect(code).toMatch(/_missing$/);
    }
  });

  test('a destination’s circuit hears of failures of destinations only', () => {
    const told = (outcome: string): string[] => CODES.filter((code) => FAILURES[code].circuit === outcome);
    expect(told('failed')).toEqual([
      'destination_name_unknown',
      'destination_unavailable',
      'destination_unreachable',
      'destination_timeout',
    ]);
    expect(told('answered').every((code) => code.startsWith('destination_'))).toBe(true);
  });

  test('a failure carries its sentence, and how long to wait where it was told', () => {
    const failure = new TaskFailure('destination_rate_limited', 'HTTP 429', { retryAfterMs: 7_200_000 });
    expect(failure).toMatchObject({ message: FAILURES.destination_rate_limited.sentence, retryAfterMs: 7_200_000 });
    expect(new TaskFailure('unknown', '').retryAfterMs).toBeUndefined();
  });

  test('a code is known by its own name only', () => {
    for (const code of ['', 'nonsense', 'toString', '__proto__', 1, null, undefined, {}]) {
      expect(isFailureCode(code)).toBe(false);
    }
  });

  test('every code is given by something', () => {
    const sources = ['src', 'activities', 'workflows'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts') && !(folder === 'src' && name.startsWith('failures/')))
        .map((name) => readFileSync(join(root, folder, name), 'utf8')),
    );
    const text = sources.join('\n');
    expect(CODES.filter((code) => !text.includes(`'${code}'`))).toEqual([]);
  });
});

describe('docs/failures.md', () => {
  const page = readFileSync(join(root, 'docs/failures.md'), 'utf8');
  const described = [...page.matchAll(/^### `(\w+)`$/gm)].map(([, code]) => code);

  test('describes every code, and no other', () => {
    expect(described).toEqual(CODES);
  });

  test.each(CODES)('says of %s what the taxonomy says', (code: FailureCode) => {
    const { class: failureClass, counts, sentence, action } = FAILURES[code];
    const section = page.split(`### \`${code}\`\n`)[1]?.split(/^#/m)[0];
    const kind = failureClass === 'hard' ? 'Hard' : 'Transient';
    expect(section?.trim()).toBe(
      `${kind}, ${counts ? 'counts' : 'does not count'}. ${sentence}\n\n_What to do:_ ${action}`,
    );
  });

  test('names no code that there is none of', () => {
    const named = [...page.matchAll(/`((?:destination|definition|clickhouse|postgres)_\w+)`/g)].map(([, code]) => code);
    expect(named.filter((code) => !isFailureCode(code))).toEqual([]);
  });
});
