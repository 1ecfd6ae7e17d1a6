import type { ClickHouseClient, PostgresPool } from '../../src/store/index.ts';
import type { DoneKill } from './killer.ts';
import type { Outage } from './system.ts';
import type { Traffic } from './traffic.ts';
import type { World } from './world.ts';

/** One promise and how often it was looked at. It holds where nothing is broken. */
export interface PromiseResult {
  name: string;
  /** What was looked at: tasks, failures, messages … */
  checked: number;
  broken: number;
  /** The first of what is broken, in words. */
  examples: string[];
  /** Counts that belong to it. */
  counts?: Record<string, number>;
}

export interface Evidence {
  world: World;
  pool: PostgresPool;
  clickhouse: ClickHouseClient;
  traffic: Traffic;
  kills: readonly DoneKill[];
  outages: readonly Outage[];
  /** Workflows of tasks that Temporal still has open. */
  openWorkflows: readonly string[];
}

const EXAMPLES = 5;

/** The result of a promise of which `broken` is all that breaks it. */
export function result(
  name: string,
  checked: number,
  broken: readonly string[],
  counts?: Record<string, number>,
): PromiseResult {
  return {
    name,
    checked,
    broken: broken.length,
    examples: broken.slice(0, EXAMPLES),
    ...(counts === undefined ? {} : { counts }),
  };
}
