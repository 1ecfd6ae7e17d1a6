import { addAudience, addRun, connectWebhook, type World } from '../helpers/world.ts';
import type { ApiWorld } from './api-world.ts';

/** The states that a computation or one of its tasks can be controlled from, by how a sentence goes on after 'one that'. */
export const STATES = [
  'is live',
  'is paused',
  'is disabled',
  'has nothing live',
  'has a run that has not begun',
  'has a run that waits for approval',
  'has a run that waits for approval, and is disabled',
  'has a run that was cancelled',
  'has a run that failed, and was edited since',
  'has a sync that failed with rejected rows',
  'has a sync whose rejected rows were sent again',
  'has a sync that failed, to a connection that is suspended',
  'has a sync that failed too long ago',
  'has a sync under way',
] as const;

type State = (typeof STATES)[number];

/** A name of somebody that must never become markup. */
export const HOSTILE = '<script>alert(1)</script>"\'&';

let keys = 0;

/** What a scene is about: a connected audience, and one of its tasks. */
interface Scene {
  computationId: string;
  destinationId: string;
  connectionId: string;
  taskId: string;
}

export interface Scenes {
  /** A connected audience whose version 1 is live, and a task of it. */
  stage(kind: 'run' | 'sync', change?: Partial<Record<'status' | 'attempt', unknown>>): Promise<Scene>;
  /** Sets a task's status, and writes its attempt unless that is 0. */
  end(taskId: string, to: { status: unknown; attempt: unknown }): Promise<void>;
  /** One rejected row of a sync. */
  reject(taskId: string, reason?: string): Promise<void>;
  /** A scene in one of the states. */
  inState(state: State): Promise<Scene>;
  /** Every button there is: the page that it is on, the address that it is posted to, and what the API is asked for. */
  buttons: Record<string, (scene: Scene) => { page: string; button: string; api: string }>;
}

/** Scenes for controls, written straight into the tables. */
export function createScenes(world: ApiWorld, space: World): Scenes {
  async function stage(
    kind: 'run' | 'sync',
    change: Partial<Record<'status' | 'attempt', unknown>> = {},
  ): Promise<Scene> {
    const { pool } = world;
    const key = `scene_${++keys}`;
    const computationId = await addAudience(pool, space, "event('Visited').count() >= 1", { key });
    const { destinationId, connectionId } = await connectWebhook(pool, space, computationId, 'http://127.0.0.1:9/');
    await pool.query(
      'update computations set live_version = 1, live_as_of = now(), live_size = 300, live_definition_version = 1 where id = $1',
      [computationId],
    );
    const taskId = await addRun(pool, space, computationId);
    if (kind === 'sync') {
      await pool.query(`update tasks set kind = 'sync', connection_id = $2 where id = $1`, [taskId, connectionId]);
      await pool.query('delete from steps where task_id = $1', [taskId]);
      await pool.query(
        `insert into steps (task_id, position, name, completed_at, output)
         select $1, place, name, case when place < 2 then now() end, case when place < 2 then output::jsonb end
         from (values (0, 'prepare', '{"externalAudienceId": null}'),
                      (1, 'extract', '{"extractId": 1, "version": 1, "asOf": "2026-01-01T00:00:00Z", "changes": 3, "scope": "all"}'),
                      (2, 'deliver', null), (3, 'reconcile', null), (4, 'finish', null)) as step (place, name, output)`,
        [taskId],
      );
    }
    await end(taskId, { status: 'succeeded', attempt: 1, ...change });
    return { computationId, destinationId, connectionId, taskId };
  }

  async function end(taskId: string, { status, attempt }: { status: unknown; attempt: unknown }): Promise<void> {
    const ended = ['succeeded', 'failed', 'cancelled'].includes(String(status));
    await world.pool.query(
      `update tasks set status = $2, attempt = $3, started_at = now(), ended_at = case when $4 then now() end where id = $1`,
      [taskId, status, attempt, ended],
    );
    if (attempt !== 0) {
      await world.pool.query('insert into attempts (task_id, attempt, outcome) values ($1, $2, $3)', [
        taskId,
        attempt,
        ended ? status : null,
      ]);
    }
  }

  async function reject(taskId: string, reason = 'no such person'): Promise<void> {
    await world.pool.query(
      `insert into rejected_rows (task_id, idx, profile, status, reason, user_id, value) values ($1, 0, 1, 400, $2, $3, 'true')`,
      [taskId, reason, HOSTILE],
    );
    await world.pool.query(
      `update steps set cursor = '{"next": 3, "redo": [], "delivered": 2, "rejected": 1, "skipped": 0}', started_at = now()
       where task_id = $1 and name = 'deliver'`,
      [taskId],
    );
  }

  async function guarded(taskId: string): Promise<void> {
    const outputs = {
      pin: {
        query: 'q',
        definitionVersion: 1,
        asOf: '2026-01-01T00:00:00Z',
        liveVersion: 1,
        liveSize: 300,
        traits: {},
      },
      compute: { version: 2, size: 50 },
      diff: { entered: 5, exited: 255, changed: 0 },
    };
    for (const [name, output] of Object.entries(outputs)) {
      await world.pool.query('update steps set completed_at = now(), output = $3 where task_id = $1 and name = $2', [
        taskId,
        name,
        JSON.stringify(output),
      ]);
    }
  }

  const set = async (sql: string, id: string): Promise<void> => {
    await world.pool.query(sql, [id]);
  };

  const states: Record<State, () => Promise<Scene>> = {
    'is live': async () => await stage('run'),
    'is paused': async () => {
      const scene = await stage('run', { status: 'running' });
      await set('update computations set paused_at = now() where id = $1', scene.computationId);
      return scene;
    },
    'is disabled': async () => {
      const scene = await stage('run', { status: 'failed' });
      await set(
        `update computations set enabled = false, disabled_reason = 'Three runs failed.' where id = $1`,
        scene.computationId,
      );
      return scene;
    },
    'has nothing live': async () => {
      const scene = await stage('run', { status: 'failed' });
      await set('update computations set live_version = null where id = $1', scene.computationId);
      return scene;
    },
    'has a run that has not begun': async () => await stage('run', { status: 'pending', attempt: 0 }),
    'has a run that waits for approval': async () => {
      const scene = await stage('run', { status: 'awaiting_approval' });
      await guarded(scene.taskId);
      return scene;
    },
    'has a run that waits for approval, and is disabled': async () => {
      const scene = await stage('run', { status: 'awaiting_approval' });
      await guarded(scene.taskId);
      await set('update computations set enabled = false where id = $1', scene.computationId);
      return scene;
    },
    'has a run that was cancelled': async () => await stage('run', { status: 'cancelled' }),
    'has a run that failed, and was edited since': async () => {
      const scene = await stage('run', { status: 'failed' });
      await guarded(scene.taskId);
      await set('update computations set definition_version = 2 where id = $1', scene.computationId);
      return scene;
    },
    'has a sync that failed with rejected rows': async () => {
      const scene = await stage('sync', { status: 'failed' });
      await reject(scene.taskId);
      return scene;
    },
    'has a sync whose rejected rows were sent again': async () => {
      const scene = await stage('sync', { status: 'succeeded' });
      await reject(scene.taskId);
      const other = await stage('sync', { status: 'succeeded' });
      await world.pool.query('update rejected_rows set redriven_by = $2 where task_id = $1', [
        scene.taskId,
        other.taskId,
      ]);
      return scene;
    },
    'has a sync that failed, to a connection that is suspended': async () => {
      const scene = await stage('sync', { status: 'failed' });
      await reject(scene.taskId);
      await set(
        `update connections set suspended_at = now(), suspended_reason = 'Three syncs failed.' where id = $1`,
        scene.connectionId,
      );
      return scene;
    },
    'has a sync that failed too long ago': async () => {
      const scene = await stage('sync', { status: 'failed' });
      await set(
        `update steps set completed_at = completed_at - interval '8 days' where task_id = $1 and completed_at is not null`,
        scene.taskId,
      );
      return scene;
    },
    'has a sync under way': async () => await stage('sync', { status: 'running' }),
  };

  const buttons: Scenes['buttons'] = {
    ...Object.fromEntries(
      ['pause', 'resume', 'runs', 'resync'].map((action) => [
        action,
        ({ computationId }: Scene) => ({
          page: `/computations/${computationId}`,
          button: `/computations/${computationId}/${action}`,
          api: `/spaces/${space.spaceId}/audiences/${computationId}/${action}`,
        }),
      ]),
    ),
    'resume syncs': ({ computationId, destinationId }) => ({
      page: `/computations/${computationId}`,
      button: `/computations/${computationId}/destinations/${destinationId}/resume`,
      api: `/spaces/${space.spaceId}/audiences/${computationId}/destinations/${destinationId}/resume`,
    }),
    ...Object.fromEntries(
      ['cancel', 'approve', 'discard', 'retry', 'redrive'].map((action) => [
        action,
        ({ taskId }: Scene) => ({
          page: `/tasks/${taskId}`,
          button: `/tasks/${taskId}/actions/${action}`,
          api: `/tasks/${taskId}/${action}`,
        }),
      ]),
    ),
  };

  return { stage, end, reject, inState: async (state) => await states[state](), buttons };
}
