import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile, stat, truncate } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PortTakenError, StartError } from './errors.ts';

/** What a child says over its leash when it serves. */
export const READY = 'ready';

const LOG_LIMIT_BYTES = 20 * 1024 * 1024;

export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A child process: its number, a promise of its end, and a way to end it. */
export interface Child {
  readonly pid: number;
  /** How long its log was before it, in bytes: what it writes comes after that. */
  readonly logStart: number;
  readonly exited: Promise<ChildExit>;
  /** Resolves when it says so itself over the leash; never for a child without one. */
  readonly saysReady: Promise<void>;
  /** Asks it to end, and kills it after the grace time. Resolves when it is gone; a second call waits for the same end. */
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
}

export interface ChildOptions {
  /** What to call it in sentences, such as `PostgreSQL`. */
  name: string;
  command: string;
  args: string[];
  env: Record<string, string | undefined>;
  /** Where stdout and stderr are appended to. */
  logFile: string;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** Opens a channel to the child that closes when this process dies, however it dies: by it the child learns to end too. */
  leash?: boolean;
  stopSignal: NodeJS.Signals;
  stopGraceMs: number;
  /** What ends it at once; SIGKILL where nothing else is better. */
  killSignal?: NodeJS.Signals;
}

/**
 * Starts a child in a process group of its own: a Ctrl-C in the terminal reaches only the parent, which ends its children
 * in the right order. Output goes to a file rather than a pipe, so that a child whose parent died does not die of its next line.
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const logStart = await shortenLog(options.logFile);
  const log = await open(options.logFile, 'a', 0o600);
  let child: ChildProcess;
  let failed: Promise<Error>;
  let exited: Promise<ChildExit>;
  try {
    child = spawn(options.command, options.args, {
      env: options.env,
      cwd: options.cwd,
      uid: options.uid,
      gid: options.gid,
      detached: true,
      stdio: ['ignore', log.fd, log.fd, ...(options.leash ? (['ipc'] as const) : [])],
    });
    // Listened for at once: both may come before the next await is over.
    failed = new Promise((resolve) => child.on('error', resolve));
    exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  } finally {
    await log.close();
  }
  if (child.pid === undefined) {
    throw new StartError(`${options.name} can't be started: ${(await failed).message} (${options.command}).`);
  }
  const { pid } = child;
  const killSignal = options.killSignal ?? 'SIGKILL';
  const saysReady = new Promise<void>((resolve) => {
    child.on('message', (message) => message === READY && resolve());
  });
  let stopping: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    child.kill(options.stopSignal);
    const timer = setTimeout(() => child.kill('SIGKILL'), options.stopGraceMs);
    await exited;
    clearTimeout(timer);
  };
  return {
    pid,
    logStart,
    exited,
    saysReady,
    stop: () => (stopping ??= end()),
    kill: () => void child.kill(killSignal),
  };
}

/** Waits until `probe` holds. A child that ends before, or is not ready in time, is an error with the end of its log. */
export async function waitUntilReady(
  child: Child,
  options: { name: string; logFile: string; timeoutMs: number; probe: () => Promise<boolean> },
): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  let ended: ChildExit | undefined;
  void child.exited.then((exit) => (ended = exit));
  for (;;) {
    const ready = await options.probe();
    if (ready && ended === undefined) return;
    if (ended !== undefined) {
      const log = await readLog(child, options.logFile);
      const message = `${options.name} ended while starting (${describeExit(ended)}). ${lastWords(options.logFile, log)}`;
      throw /address already in use/i.test(log) ? new PortTakenError(message) : new StartError(message);
    }
    if (Date.now() > deadline) {
      await child.stop();
      throw new StartError(
        `${options.name} was not ready after ${Math.round(options.timeoutMs / 1000)} seconds. ${lastWords(options.logFile, await readLog(child, options.logFile))}`,
      );
    }
    await sleep(25);
  }
}

export function describeExit(exit: ChildExit): string {
  return exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`;
}

/** What a child has written to its log. */
export async function readLog(child: Child, logFile: string): Promise<string> {
  const bytes = await readFile(logFile).catch(() => Buffer.alloc(0));
  return bytes.subarray(child.logStart).toString('utf8');
}

/** The end of a log; of a program in Go that panicked, what it said before it listed its stacks. */
function lastWords(logFile: string, log: string): string {
  const [said = ''] = log.split(/^goroutine \d+ \[/m, 1);
  const lines = said.trimEnd().split('\n').slice(-5).join('\n  ');
  return `Its log is ${logFile}, which ends with:\n  ${lines}`;
}

/** Empties a log that has grown long. Answers with the bytes that are in it. */
async function shortenLog(logFile: string): Promise<number> {
  const size = await stat(logFile).then(
    (info) => info.size,
    () => 0,
  );
  if (size <= LOG_LIMIT_BYTES) return size;
  await truncate(logFile, 0);
  return 0;
}
