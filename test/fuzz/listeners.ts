import { readdir, readFile, readlink } from 'node:fs/promises';

/** A TCP port that a process listens on. */
export interface Listening {
  pid: number;
  host: string;
  port: number;
}

/** Every TCP port that these processes listen on, as the kernel has it: also the ones that nobody wrote down. Linux alone. */
export async function listListening(pids: readonly number[]): Promise<Listening[]> {
  const found = await Promise.all(pids.map(async (pid) => await listeningOf(pid)));
  return found.flat().sort((a, b) => a.port - b.port);
}

async function listeningOf(pid: number): Promise<Listening[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const links = await Promise.all(names.map(async (fd) => await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  const inodes = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  const found: Listening[] = [];
  for (const table of ['tcp', 'tcp6']) {
    const text = await readFile(`/proc/${pid}/net/${table}`, 'utf8').catch(() => '');
    for (const line of text.trim().split('\n').slice(1)) {
      // sl local_address rem_address st … inode; 0A is LISTEN.
      const words = line.trim().split(/\s+/);
      const [host = '', port = ''] = (words[1] ?? '').split(':');
      if (words[3] === '0A' && inodes.has(words[9])) found.push({ pid, host: hostOf(host), port: parseInt(port, 16) });
    }
  }
  return found;
}

/** The kernel's form: each four bytes are turned around. */
function hostOf(hex: string): string {
  if (hex.length === 8)
    return (hex.match(/../g) ?? [])
      .map((byte) => parseInt(byte, 16))
      .reverse()
      .join('.');
  return /^0+$/.test(hex) ? '::' : '::1';
}
