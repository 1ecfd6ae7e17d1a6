import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresPool } from '../../src/store/index.ts';

// Advisory locks of one class: who has 1 is the one session that stands at the gate, and waits there for 2, which we hold.
const CLASS = 738_251;

/**
 * What lets the driver hold a session at an exact point: triggers of its own, in a schema of its own, on the tables as they are.
 * The program under test knows nothing of them. A trigger that finds its point armed lets one session wait for a lock, inside of
 * the transaction that passes the point, and names the session after the task, where others can see it.
 *
 * They also keep what nobody else would: every change of a step that had its checkpoint already.
 */
const GATE_SQL = `
create schema chaos;
create table chaos.armed (point text primary key);
create table chaos.touched (
  task_id text not null, step text not null, change text not null, at timestamptz not null default clock_timestamp()
);

create function chaos.pass(point text, subject text) returns void language plpgsql as $$
begin
  if not exists (select from chaos.armed a where a.point = pass.point) then return; end if;
  if not pg_try_advisory_xact_lock(${CLASS}, 1) then return; end if;
  perform set_config('application_name', 'at the gate: ' || subject, true);
  perform pg_advisory_xact_lock_shared(${CLASS}, 2);
end $$;

create function chaos.on_step() returns trigger language plpgsql as $$
begin
  if old.completed_at is not null then
    if new.completed_at is distinct from old.completed_at or new.executions <> old.executions
       or new.output is distinct from old.output or new.cursor is distinct from old.cursor then
      insert into chaos.touched (task_id, step, change) values (old.task_id, old.name, format('%s → %s', old, new));
    end if;
  elsif new.completed_at is not null then perform chaos.pass('complete:' || new.name, new.task_id);
  elsif new.executions > old.executions then perform chaos.pass('begin:' || new.name, new.task_id);
  elsif new.cursor is distinct from old.cursor then perform chaos.pass('cursor:' || new.name, new.task_id);
  end if;
  return new;
end $$;
create trigger chaos before update on steps for each row execute function chaos.on_step();

create function chaos.on_attempt() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    perform chaos.pass('attempt:' || (select kind from tasks where id = new.task_id), new.task_id);
  elsif new.outcome = 'failed' and old.outcome is null then perform chaos.pass('failure', new.task_id);
  end if;
  return new;
end $$;
create trigger chaos after insert or update on attempts for each row execute function chaos.on_attempt();

create function chaos.on_task() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then perform chaos.pass('task:' || new.kind, new.id);
  elsif new.status = 'succeeded' and old.status <> 'succeeded' then perform chaos.pass('end:' || new.kind, new.id);
  elsif new.dispatched_at is distinct from old.dispatched_at then perform chaos.pass('dispatched:' || new.kind, new.id);
  end if;
  return new;
end $$;
create trigger chaos after insert or update on tasks for each row execute function chaos.on_task();

create function chaos.on_consumer() returns trigger language plpgsql as $$
begin
  if new.claimed_position is not null and old.claimed_position is null then perform chaos.pass('loader:claimed', new.name);
  elsif (new.last_xid, new.last_position) <> (old.last_xid, old.last_position) then
    perform chaos.pass('loader:loaded', new.name);
  end if;
  return new;
end $$;
create trigger chaos after update on consumers for each row execute function chaos.on_consumer();

create function chaos.on_fold() returns trigger language plpgsql as $$
begin
  perform chaos.pass('folded', old.connection_id);
  return old;
end $$;
create trigger chaos before delete on settled_ranges for each row execute function chaos.on_fold();

create function chaos.on_events() returns trigger language plpgsql as $$
begin
  perform chaos.pass('ingest', 'events');
  return null;
end $$;
create trigger chaos after insert on event_log for each statement execute function chaos.on_events();
`;

/** Puts the gate into a database. Once. */
export async function installGate(pool: PostgresPool): Promise<void> {
  await pool.query(GATE_SQL);
}

/** A step that was changed although it had its checkpoint. */
export async function touchedSteps(pool: PostgresPool): Promise<{ taskId: string; step: string; change: string }[]> {
  const { rows } = await pool.query<{ taskId: string; step: string; change: string }>(
    'select task_id as "taskId", step, change from chaos.touched order by at',
  );
  return rows;
}

/** A session that stands at the gate. */
export interface AtGate {
  /** The task that it works on; the consumer's name for the loader, `events` for the ingest. */
  subject: string;
  processId: number;
}

/** One armed point. Everything it does ends with its connection, so a driver that dies leaves nobody waiting. */
export class Gate {
  readonly #client: pg.Client;
  readonly #point: string;

  private constructor(client: pg.Client, point: string) {
    this.#client = client;
    this.#point = point;
  }

  /** Arms a point: the next session that passes it waits there, until `open` or the end of the database. */
  static async arm(databaseUrl: string, point: string): Promise<Gate> {
    const client = new pg.Client({ connectionString: databaseUrl, application_name: 'chaos-gate' });
    // The server is killed while it stands; what fails then says so itself.
    client.on('error', () => undefined);
    await client.connect();
    await client.query(`select pg_advisory_lock(${CLASS}, 2)`);
    await client.query('delete from chaos.armed');
    await client.query('insert into chaos.armed (point) values ($1)', [point]);
    return new Gate(client, point);
  }

  /** The session that stands at the gate, or null after `timeoutMs`. */
  async wait(timeoutMs: number, signal: AbortSignal): Promise<AtGate | null> {
    const deadline = Date.now() + timeoutMs;
    while (Date.now() < deadline && !signal.aborted) {
      const { rows } = await this.#client.query<{ pid: number; application_name: string }>(
        `select l.pid, a.application_name from pg_locks l join pg_stat_activity a on a.pid = l.pid
         where l.locktype = 'advisory' and l.classid = $1 and l.objid = 2 and not l.granted`,
        [CLASS],
      );
      const [found] = rows;
      if (found !== undefined) {
        return { processId: found.pid, subject: found.application_name.replace('at the gate: ', '') };
      }
      await sleep(10);
    }
    return null;
  }

  /** Lets the session go on. Also where the database has died meanwhile. */
  async open(): Promise<void> {
    try {
      await this.#client.query('delete from chaos.armed where point = $1', [this.#point]);
      await this.#client.query(`select pg_advisory_unlock(${CLASS}, 2)`);
    } catch {
      // The database was killed, and the lock is gone with it. What is armed is taken away by the next to arm.
    } finally {
      await this.#client.end().catch(() => undefined);
    }
  }

  /** Lets the session go on, and waits until its transaction has ended. False where that takes longer than `timeoutMs`. */
  async openAndSettle(who: AtGate, timeoutMs: number): Promise<boolean> {
    await this.#client.query('delete from chaos.armed where point = $1', [this.#point]);
    await this.#client.query(`select pg_advisory_unlock(${CLASS}, 2)`);
    const deadline = Date.now() + timeoutMs;
    while (Date.now() < deadline) {
      const { rowCount } = await this.#client.query(
        `select from pg_locks where locktype = 'advisory' and classid = $1 and objid = 1 and pid = $2`,
        [CLASS, who.processId],
      );
      if (rowCount === 0) return true;
      await sleep(5);
    }
    return false;
  }
}
