import { Listr } from 'listr2';

/** Something that takes a while. `run` tells `report` how far it is, and answers with a word on how it ended. */
export interface Stage {
  title: string;
  run: (report: (text: string) => void) => Promise<string>;
}

/** Runs stages side by side and shows how far they are. Throws the first error when all have ended. */
export type ShowStages = (stages: readonly Stage[]) => Promise<void>;

/** A list that moves, for a terminal. */
export const showAsList: ShowStages = async (stages) => {
  const errors: unknown[] = [];
  const list = new Listr(
    stages.map(({ title, run }) => ({
      title,
      task: async (_context, task) => {
        const since = Date.now();
        try {
          const outcome = await run((text) => (task.title = `${title}: ${text}`));
          task.title = `${title}: ${outcome}${secondsSince(since)}`;
        } catch (error) {
          errors.push(error);
          task.title = `${title}: failed`;
          throw error;
        }
      },
    })),
    {
      concurrent: true,
      exitOnError: false,
      // Ctrl-C is the command's business, and errors are told once, at the end.
      registerSignalListeners: false,
      rendererOptions: { showErrorMessage: false, collapseErrors: false },
    },
  );
  await list.run();
  if (errors.length > 0) throw errors[0];
};

/** One line for each thing that happens, for logs and pipes. */
export function showAsLines(print: (line: string) => void): ShowStages {
  return async (stages) => {
    const outcomes = await Promise.allSettled(
      stages.map(async ({ title, run }) => {
        const since = Date.now();
        const outcome = await run((text) => print(`${title}: ${text}`));
        print(`${title}: ${outcome}${secondsSince(since)}`);
      }),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  };
}

function secondsSince(since: number): string {
  const seconds = (Date.now() - since) / 1000;
  return seconds < 0.1 ? '' : ` (${seconds.toFixed(1)} s)`;
}
