import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A process of this machine and the words it was started with. */
export interface FoundProcess {
  pid: number;
  argv: string[];
}

/** True while a process with this number exists and is not a zombie that only waits to be reaped. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // pid (name) state …: the name may hold anything, so count from the last bracket.
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
}

/** When a process started, in a form that only compares; with the pid it names one process for good. '' where it can't be told. */
export async function startTimeOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat !== undefined) return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.trim();
}

/** Every process that can be seen, with its argv. Without /proc the argv is split at spaces, which is good enough to compare words. */
export async function listProcesses(): Promise<FoundProcess[]> {
  const names = await readdir('/proc').catch(() => undefined);
  if (names !== undefined && names.includes('self')) {
    const found = names
      .filter((name) => /^\d+$/.test(name))
      .map(async (name) => {
        const text = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
        return { pid: Number(name), argv: text.split('\0').slice(0, -1) };
      });
    return (await Promise.all(found)).filter((one) => one.argv.length > 0);
  }
  const { stdout } = await run('ps', ['-axo', 'pid=,command='], { maxBuffer: 32 * 1024 * 1024 });
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words.length > 1)
    .map(([pid, ...argv]) => ({ pid: Number(pid), argv }));
}

/** Ends a process: asks with `signal`, and kills it when it is still there after `graceMs`. */
export async function endProcess(pid: number, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  for (const [how, waitMs] of [
    [signal, graceMs],
    ['SIGKILL', 5_000],
  ] as const) {
    try {
      process.kill(pid, how);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
      throw error;
    }
    const deadline = Date.now() + waitMs;
    while (Date.now() < deadline) {
      if (!(await isAlive(pid))) return;
      await sleep(25);
    }
  }
  throw new Error(`Process ${pid} does not end, not even by SIGKILL. End it by hand and start again.`);
}
