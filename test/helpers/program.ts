import { Connection } from '@temporalio/client';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { addressOf } from './engines.ts';
import { eventually } from './world.ts';

export interface Program {
  process: ChildProcess;
  /** Everything it has written so far. */
  output(): string;
  /** Resolves when it has written something that contains `text`. */
  says(text: string, timeoutMs?: number): Promise<void>;
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with its exit code. */
  terminate(): Promise<number | null>;
}

/**
 * Starts `trailmark …` as a process of its own, as it is built: from its sources, each start would take several seconds of a core, and
 * a worker would bundle its workflows.
 */
export async function startProgram(args: string[], env: Record<string, string>): Promise<Program> {
  return spawnProgram(await addressOf('program'), args, env);
}

/** The same, with the file that is the program: for who is no test. */
export function spawnProgram(main: string, args: string[], env: Record<string, string>): Program {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let written = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      written += chunk;
    });
  }
  const gone = once(child, 'exit');
  return {
    process: child,
    output: () => written,
    says: async (text, timeoutMs = 60_000) => {
      await eventually(
        async () => {
          if (written.includes(text)) return true;
          if (child.exitCode !== null) throw new Error(`trailmark ${args.join(' ')} ended:\n${written}`);
          return null;
        },
        { what: `"${text}" from trailmark ${args.join(' ')}, which wrote:\n${written}\nand this`, timeoutMs },
      );
    },
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
    terminate: async () => {
      child.kill('SIGTERM');
      await gone;
      return child.exitCode;
    },
  };
}

/** A namespace of its own on the run's Temporal server: processes of two tests must not take each other's tasks. */
export async function createNamespace(temporalAddress: string, namespace: string): Promise<void> {
  const connection = await Connection.connect({ address: temporalAddress });
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
    });
    await eventually(
      async () => {
        const found = await connection.workflowService
          .listOpenWorkflowExecutions({ namespace, maximumPageSize: 1 })
          .catch(() => null);
        return found === null ? null : true;
      },
      { what: `namespace ${namespace}`, timeoutMs: 30_000 },
    );
  } finally {
    await connection.close();
  }
}
