import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { Random } from '../chaos/random.ts';
import { nastyPieces } from './nasty-requests.ts';

export interface AttackOptions {
  host: string;
  port: number;
  seconds: number;
  seed: number;
  /** What opens the door, as the value of an Authorization header. */
  authorization?: string | undefined;
}

const CLIENTS = 8;
const LONGEST_MS = 300;

/** Sends nonsense to a port for a while, and returns how many connections it made. Throws nothing: what came of it is seen elsewhere. */
export async function attack(options: AttackOptions): Promise<number> {
  const { host, port, seed, authorization } = options;
  const until = Date.now() + options.seconds * 1000;
  let connections = 0;
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      const random = new Random(seed).fork(`${port} ${client}`);
      while (Date.now() < until) {
        connections++;
        await converse({ host, port }, nastyPieces(random, authorization), random);
      }
    }),
  );
  return connections;
}

/** One connection: sends the pieces, and leaves in one of the ways that clients leave. */
async function converse(
  where: { host: string; port: number },
  pieces: readonly Buffer[],
  random: Random,
): Promise<void> {
  const socket = connect(where);
  // Whatever the other side does to the connection is its right.
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const leaving = random.weighted({ end: 5, reset: 3, destroy: 2, read: 5 });
  if (random.chance(0.8)) socket.resume();
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    if (random.chance(0.3)) await wait(random.int(10));
  }
  if (leaving === 'end') socket.end();
  else if (leaving === 'reset') socket.resetAndDestroy();
  else if (leaving === 'destroy') socket.destroy();
  await Promise.race([closed, wait(random.int(LONGEST_MS))]);
  socket.destroy();
}
