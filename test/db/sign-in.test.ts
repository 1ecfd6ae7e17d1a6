import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addMember, createUser, createWorkspace, signIn, sweepSignInLimits } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createTestPool, type TestPool } from '../helpers/engines.ts';

const PASSWORD = 'correct horse battery staple';
const OWNER = 'owner@example.com';

let db: TestPool;
let workspaceId: string;

beforeAll(async () => {
  db = await createTestPool();
  workspaceId = await inTransaction(db.pool, async (tx) => {
    const made = await createWorkspace(tx, { slug: 'acme', name: 'Acme', plan: 'business', actor: SYSTEM_ACTOR });
    for (const email of [OWNER, 'colleague@example.com']) {
      const user = await createUser(tx, { email, name: 'Someone', password: PASSWORD });
      await addMember(tx, { workspaceId: made.id, userId: user.id, role: 'workspace_owner', actor: SYSTEM_ACTOR });
    }
    return made.id;
  });
});
afterAll(async () => await db.close());
beforeEach(async () => {
  await db.pool.query('truncate sign_in_limits');
});

type From = Parameters<typeof signIn>[3];

async function outcome(email: string, password: string, from: From): Promise<string> {
  return await signIn(db.pool, email, password, from).then(
    () => 'in',
    (error: unknown) => (error as { code: string }).code,
  );
}

const guess = async (email: string, clientAddress: string): Promise<string> =>
  await outcome(email, 'guess guess guess', { clientAddress });

/** As if whatever was tried `tries` times so far had been tried so many times more. */
async function multiply(tries: number, become: number): Promise<void> {
  const { rowCount } = await db.pool.query('update sign_in_limits set attempts = $2 where attempts = $1', [
    tries,
    become,
  ]);
  expect(rowCount).toBe(1);
}

describe('guessing one account from many addresses', () => {
  beforeEach(async () => {
    for (const address of ['192.0.2.1', '192.0.2.2']) expect(await guess(OWNER, address)).toBe('sign_in_failed');
    // The account's row is the one that both have counted in.
    await multiply(2, 1_000);
  });

  test('leaves each address few tries, and does not lock the owner out', async () => {
    const tries: string[] = [];
    for (let n = 0; n < 5; n += 1) tries.push(await guess(OWNER, '192.0.2.3'));
    const [failed, limited] = ['sign_in_failed', 'sign_in_rate_limited'];
    expect(tries).toEqual([failed, failed, failed, limited, limited]);
    expect(await outcome(OWNER, PASSWORD, { clientAddress: '198.51.100.1' })).toBe('in');
    expect(await outcome('colleague@example.com', PASSWORD, { clientAddress: '192.0.2.3' })).toBe('in');
  });
});

describe('guessing many accounts from one address', () => {
  beforeEach(async () => {
    for (const email of ['a@example.com', 'b@example.com', 'c@example.com']) {
      expect(await guess(email, '2001:db8:1:2::1')).toBe('sign_in_failed');
    }
    // The address's row is the one that all three have counted in.
    await multiply(3, 100);
  });

  test('is stopped for all that one subscriber has, and for nobody else', async () => {
    expect(await guess('d@example.com', '2001:db8:1:2::1')).toBe('sign_in_rate_limited');
    expect(await guess('e@example.com', '2001:db8:1:2:ffff:ffff:ffff:ffff')).toBe('sign_in_rate_limited');
    expect(await outcome(OWNER, PASSWORD, { clientAddress: '2001:db8:1:3::1' })).toBe('in');
    expect(await outcome(OWNER, PASSWORD, { clientAddress: '192.0.2.1' })).toBe('in');
  });

  test('does not keep out who has signed in from their device before, behind the same address', async () => {
    expect(await guess('d@example.com', '2001:db8:1:2::1')).toBe('sign_in_rate_limited');
    const clientAddress = '2001:db8:1:2::5';
    expect(await outcome(OWNER, PASSWORD, { clientAddress })).toBe('sign_in_rate_limited');
    expect(await outcome(OWNER, PASSWORD, { clientAddress, deviceId: 'known' })).toBe('in');
  });
});

test('a known device has a limit as well, which signing in takes back', async () => {
  const from = { clientAddress: '192.0.2.1', deviceId: 'known' };
  for (let n = 0; n < 9; n += 1) expect(await outcome(OWNER, 'guess guess guess', from)).toBe('sign_in_failed');
  expect(await outcome(OWNER, PASSWORD, from)).toBe('in');
  for (let n = 0; n < 10; n += 1) expect(await outcome(OWNER, 'guess guess guess', from)).toBe('sign_in_failed');
  expect(await outcome(OWNER, PASSWORD, from)).toBe('sign_in_rate_limited');
  expect(await outcome(OWNER, PASSWORD, { clientAddress: '192.0.2.1' })).toBe('in');
});

test('signing in is not counted: an office behind one address may do it as often as it likes', async () => {
  for (let n = 0; n < 3; n += 1) expect(await outcome(OWNER, PASSWORD, { clientAddress: '192.0.2.1' })).toBe('in');
  const { rows } = await db.pool.query<{ sum: string }>('select coalesce(sum(attempts), 0) as sum from sign_in_limits');
  expect(Number(rows[0]?.sum)).toBe(0);
});

test('what was refused is in the trail of the member’s workspaces once, however often it is tried and from where', async () => {
  for (const address of ['192.0.2.1', '192.0.2.2']) {
    for (let n = 0; n < 13; n += 1) await guess('colleague@example.com', address);
  }
  for (let n = 0; n < 13; n += 1) await guess('nobody@example.com', '192.0.2.3');
  const { rows } = await db.pool.query(
    `select workspace_id, actor_kind, outcome, resource_type, details from audit_events
     where type = 'User Sign-In Refused' and resource_id = (select id from users where email = 'colleague@example.com')`,
  );
  expect(rows).toEqual([
    {
      workspace_id: workspaceId,
      actor_kind: 'system',
      outcome: 'failure',
      resource_type: 'user',
      details: { clientAddress: '192.0.2.1' },
    },
  ]);
});

test('rows of windows that are over go by themselves, the others stay', async () => {
  await guess(OWNER, '192.0.2.1');
  await db.pool.query(
    `insert into sign_in_limits (key_hash, attempts, window_started_at)
     select sha256(n::text::bytea), 1, now() - interval '16 minutes' from generate_series(1, 50) n`,
  );
  await sweepSignInLimits(db.pool);
  const { rows } = await db.pool.query<{ count: number }>('select count(*)::integer as count from sign_in_limits');
  expect(rows).toEqual([{ count: 3 }]);
});
