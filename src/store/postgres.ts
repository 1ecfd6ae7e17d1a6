import pg from 'pg';
import { ContainedClient } from './contained-client.ts';
import { storableValue } from './storable.ts';

/** Anything that runs one statement: a pool, a client, or the client of a transaction. */
export type Queryable = Pick<pg.ClientBase, 'query'>;

/** A client inside `begin … commit`: what is written through it is there whole, or not at all. */
export type Transaction = pg.PoolClient & { readonly __transaction?: never };

export type PostgresPool = pg.Pool;

// bigint columns (versions, positions, counts) are far below 2^53 in any life of this system.
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`a bigint of PostgreSQL is over 2^53: ${text}`);
  return value;
});

/** A client whose statements are never refused for the texts that are bound to them (see storable.ts). */
class StorableClient extends ContainedClient {
  // eslint-disable-next-line typescript/no-explicit-any -- one of the driver's many ways to call it
  override query(first: any, second?: any, ...others: any[]): any {
    const values: unknown = Array.isArray(second) ? second.map(storableValue) : second;
    // What knows how to submit itself (a stream of rows, say) has bound its values already.
    const isConfig = typeof first === 'object' && first !== null && typeof first.submit !== 'function';
    const query: unknown =
      isConfig && Array.isArray(first.values) ? { ...first, values: first.values.map(storableValue) } : first;
    return super.query(...([query, values, ...others] as unknown as [never])) as unknown;
  }
}

/** How long the statements of a pool may take, in milliseconds; 0 is for ever. */
export interface PoolLimits {
  /** One statement. */
  statementMs: number;
  /** Its wait for one lock. */
  lockMs: number;
  /** A transaction in which nothing is asked, until its connection is ended. */
  idleInTransactionMs: number;
  /**
   * Until a statement that PostgreSQL has not answered is given up here, with its connection. Longer than what PostgreSQL itself
   * keeps to, so it is for a server that is frozen, or gone without a word.
   */
  answerMs: number;
}

// What waits for a lock gives up before its asker does (30 s, for what is written of a task), and so does not hold a connection that
// nobody listens to. Nothing in a transaction of ours waits for anything but PostgreSQL.
// What of its limits PostgreSQL may take for saying that they are over.
const ANSWER_MARGIN_MS = 15_000;
const LIMITS: PoolLimits = {
  statementMs: 60_000,
  lockMs: 15_000,
  idleInTransactionMs: 60_000,
  answerMs: 60_000 + ANSWER_MARGIN_MS,
};

/** For what may take as long as it does: migrations, which also wait for each other. */
export const UNLIMITED: PoolLimits = { statementMs: 0, lockMs: 0, idleInTransactionMs: 0, answerMs: 0 };

/** Lets the statements of this transaction take so long, where the pool's limit is too short for what they do. */
export async function allowStatements(tx: Transaction, forMs: number): Promise<void> {
  await tx.query(`select set_config('statement_timeout', $1, true)`, [String(forMs)]);
  const parameters = parametersOf(tx);
  answerLimits.set(tx, parameters.query_timeout);
  parameters.query_timeout = forMs + ANSWER_MARGIN_MS;
}

// What transactions that were allowed more have to be given back at their end.
const answerLimits = new WeakMap<Transaction, number>();

/** Of pg's client, what its type declarations leave away: what its statements go by. */
function parametersOf(client: Transaction): { query_timeout: number } {
  return (client as unknown as { connectionParameters: { query_timeout: number } }).connectionParameters;
}

/** Whether it is pg's error about a statement that was not answered in time. */
function isUnanswered(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}

/**
 * A pool of connections to PostgreSQL, with limits on how long its statements may take: over one of them they fail, as whatever is
 * busy, with a code that says so (classifyStoreError). `onError` hears of idle connections that broke (a restart of the server, say).
 */
export function createPool(options: {
  connectionString: string;
  max?: number;
  applicationName: string;
  onError: (error: Error) => void;
  limits?: Partial<PoolLimits>;
}): PostgresPool {
  const limits = { ...LIMITS, ...options.limits };
  const pool = new pg.Pool({
    Client: StorableClient,
    connectionString: options.connectionString,
    max: options.max ?? 10,
    application_name: options.applicationName,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: limits.statementMs,
    lock_timeout: limits.lockMs,
    idle_in_transaction_session_timeout: limits.idleInTransactionMs,
    query_timeout: limits.answerMs,
  });
  pool.on('error', options.onError);
  // The pool listens to idle clients only. One that is in use hears of its end twice: its statement fails, which is how its
  // user learns of it, and an event without a listener would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** What waits for the commit of a transaction that is under way. */
const waiting = new WeakMap<Queryable, (() => void)[]>();

/**
 * Does `work` once the transaction is committed, and never where it is rolled back: for what is no part of the database, such as
 * a counter. Does it at once where `db` is no transaction of `inTransaction`. `work` must not throw.
 */
export function onCommit(db: Queryable, work: () => void): void {
  const works = waiting.get(db);
  if (works === undefined) work();
  else works.push(work);
}

/** Runs `work` in one transaction: commits what it returns, rolls back what it throws. */
export async function inTransaction<T>(pool: PostgresPool, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const works: (() => void)[] = [];
    waiting.set(client, works);
    const result = await work(client);
    await client.query('commit');
    for (const then of works) then();
    return result;
  } catch (error) {
    // Asked once more, it would be silent for as long again.
    if (isUnanswered(error)) broken = error as Error;
    else {
      try {
        await client.query('rollback');
      } catch (rollbackError) {
        broken = rollbackError as Error;
      }
    }
    throw error;
  } finally {
    waiting.delete(client);
    const answerMs = answerLimits.get(client);
    if (answerMs !== undefined) parametersOf(client).query_timeout = answerMs;
    client.release(broken);
  }
}
