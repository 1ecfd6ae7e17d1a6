/** Lets so many pieces of work run at once; the others wait for their turn, in order. */
export function createGate(places: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = places;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      // The place goes to the next in the line, or back.
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}
