import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresPool } from '../../src/store/index.ts';
import { Gate, type AtGate } from './gate.ts';
import type { Place, Side } from './places.ts';
import { componentsOf, type Component, type Kill } from './plan.ts';
import type { Random } from './random.ts';
import { holdFirst } from './receivers.ts';
import type { System } from './system.ts';
import { pathOf, type World } from './world.ts';

const ARRIVAL_MS = 25_000;
const PROVOKE_EVERY_MS = 2_000;
const COMMIT_MS = 10_000;
// For a query to get onto its way to an engine that is stopped.
const UNDER_WAY_MS = 120;

/** A kill as it happened. */
export interface DoneKill {
  /** Milliseconds since 1970. */
  at: number;
  victim: Kill['victim'];
  /** The place's name and side; null at a random moment. */
  place: string | null;
  side: Side['name'] | null;
  /** The task that stood there, where one did. */
  subject: string | null;
  /** Who ran, and does no more. */
  killed: Component[];
  /** How long it took until all was up, and from then until someone came by. */
  waitedMs: { up: number; arrival: number };
}

type Strike = Omit<DoneKill, 'waitedMs'>;

/** Kills as a plan says, at its places. */
export class Killer {
  readonly #system: System;
  readonly #world: World;
  readonly #pool: PostgresPool;
  readonly #random: Random;

  constructor(options: { system: System; world: World; pool: PostgresPool; random: Random }) {
    this.#system = options.system;
    this.#world = options.world;
    this.#pool = options.pool;
    this.#random = options.random;
  }

  /** Does one kill. Null where nobody came by its place in time: then nobody was killed. */
  async execute(kill: Kill): Promise<DoneKill | null> {
    const since = Date.now();
    if (kill.at === null) {
      await sleep(kill.pauseMs);
      return { ...this.#strike(kill, null), waitedMs: { up: 0, arrival: 0 } };
    }
    await this.#system.whenUp(120_000);
    const up = Date.now() - since;
    const { side } = kill.at;
    const done =
      'waitsFor' in side && side.waitsFor !== 'clickhouse'
        ? await this.#atReceiver(kill, side)
        : await this.#atGate(kill, side);
    if (done === null) return null;
    await sleep(kill.pauseMs);
    return { ...done, waitedMs: { up, arrival: done.at - since - up } };
  }

  #strike(kill: Kill, subject: string | null): Strike {
    const at = Date.now();
    const killed = this.#system.kill(componentsOf(kill.victim), kill.downMs);
    return {
      at,
      victim: kill.victim,
      place: kill.at?.place.name ?? null,
      side: kill.at?.side.name ?? null,
      subject,
      killed,
    };
  }

  /** At a point of the database, or past it. */
  async #atGate(kill: Kill, side: Extract<Side, { point: string }>): Promise<Strike | null> {
    const gate = await Gate.arm(this.#system.databaseUrl, side.point);
    try {
      const who = await this.#provokeUntil(kill, async (signal) => await gate.wait(ARRIVAL_MS, signal));
      if (who === null) return null;
      if (side.name === 'unsaved') return this.#strike(kill, who.subject);
      // Whoever is stopped here hears of nothing that happens from now on, until it is killed or goes on.
      const silent = side.name === 'saved' ? 'temporal' : 'clickhouse';
      return await this.#pastTheGate(kill, gate, who, { silent, point: side.point });
    } finally {
      await gate.open();
    }
  }

  async #pastTheGate(
    kill: Kill,
    gate: Gate,
    who: AtGate,
    { silent, point }: { silent: Component; point: string },
  ): Promise<Strike | null> {
    this.#system.freeze(silent);
    try {
      if (!(await gate.openAndSettle(who, COMMIT_MS))) return null;
      if (!(await this.#isSaved(point, who))) return null;
      if (silent === 'clickhouse') await sleep(UNDER_WAY_MS);
      return this.#strike(kill, who.subject);
    } finally {
      this.#system.thaw(silent);
    }
  }

  /** Whether what passed the point was committed: a checkpoint's transaction may have had another end. */
  async #isSaved(point: string, who: AtGate): Promise<boolean> {
    if (!point.startsWith('complete:')) return true;
    const { rowCount } = await this.#pool.query(
      'select from steps where task_id = $1 and name = $2 and completed_at is not null',
      [who.subject, point.slice('complete:'.length)],
    );
    return rowCount === 1;
  }

  /** While a receiver has a request in its hands. */
  async #atReceiver(kill: Kill, side: Extract<Side, { waitsFor: string }>): Promise<Strike | null> {
    const kind = side.waitsFor === 'audience' ? 'audience' : 'batch';
    if (kind === 'audience') await this.#forgetAudiences();
    const { receivers } = this.#world;
    const held = await this.#provokeUntil(kill, async (signal) => await holdFirst(receivers, kind, ARRIVAL_MS, signal));
    if (held === null) return null;
    const done = this.#strike(kill, null);
    // A client that was not killed gets its answer, late.
    held.answer();
    return done;
  }

  /** Asks for what a place needs, again and again until `arrival` has someone. */
  async #provokeUntil<T>(kill: Kill, arrival: (signal: AbortSignal) => Promise<T | null>): Promise<T | null> {
    const arrived = new AbortController();
    const provoking = (async () => {
      while (!arrived.signal.aborted) {
        await this.#provoke(kill.at?.place.needs ?? 'run').catch(() => undefined);
        await sleep(PROVOKE_EVERY_MS, undefined, { signal: arrived.signal }).catch(() => undefined);
      }
    })();
    try {
      return await arrival(arrived.signal);
    } finally {
      arrived.abort();
      await provoking;
    }
  }

  async #provoke(needs: Place['needs']): Promise<void> {
    // Events come in anyway.
    if (needs === 'events') return;
    if (needs === 'failure')
      this.#random.pick(this.#world.workspaces.flatMap(({ destinations }) => destinations)).receiver.failNext();
    const { rows } = await this.#pool.query<{ id: string; kind: 'audience' | 'computed_trait'; workspace_id: string }>(
      `select c.id, c.kind, c.workspace_id from computations c
       where c.enabled and c.deleted_at is null and c.paused_at is null
         and not exists (select from tasks t where t.computation_id = c.id and t.kind = 'run' and t.ended_at is null)
         and ($1 or exists (
           select from connections n where n.computation_id = c.id and n.enabled and n.suspended_at is null
             and not exists (select from tasks t where t.connection_id = n.id and t.ended_at is null)
         ))
       order by c.id`,
      [needs === 'run'],
    );
    for (const computation of this.#random.shuffle(rows).slice(0, 2)) {
      const workspace = this.#world.workspaces.find(({ id }) => id === computation.workspace_id);
      if (workspace === undefined) continue;
      const path = `/spaces/${workspace.spaceId}/${pathOf(computation.kind)}/${computation.id}/runs`;
      await workspace.owner.call('POST', path);
    }
  }

  /**
   * So that the next syncs make their audiences again: a tool is asked for an audience only once. Those under way keep theirs,
   * which their messages name.
   */
  async #forgetAudiences(): Promise<void> {
    await this.#pool.query(
      `update connections set external_audience_id = null
       where external_audience_id is not null
         and not exists (select from tasks t where t.connection_id = connections.id and t.ended_at is null)`,
    );
  }
}
