import { NotMeasurable, rounded, type Figure } from './figure.ts';
import { extract } from './extract.ts';
import { ingest } from './ingest.ts';
import { signInFlood } from './sign-in-flood.ts';
import { neighbours } from './neighbours.ts';
import { start } from './start.ts';
import { sync } from './sync.ts';
import { tasks, tasksOnPostgres } from './tasks.ts';
import { tick } from './tick.ts';

const FIGURES: Record<string, () => Promise<Figure>> = {
  start,
  tasks,
  'tasks-postgres': tasksOnPostgres,
  ingest,
  sync,
  neighbours,
  extract,
  tick,
  'sign-in-flood': signInFlood,
};

// npm run bench                  every figure, for people
// npm run bench -- NAME --json   one of them, as a line of JSON
const args = process.argv.slice(2);
const json = args.includes('--json');
const names = args.filter((arg) => !arg.startsWith('--'));
const unknown = names.filter((name) => !Object.hasOwn(FIGURES, name));
if (unknown.length > 0) {
  console.error(`There is no figure ${unknown.join(', ')}. There are: ${Object.keys(FIGURES).join(', ')}.`);
  process.exit(2);
}
for (const name of names.length > 0 ? names : Object.keys(FIGURES)) {
  const measure = FIGURES[name];
  if (measure === undefined) continue;
  const figure = await measure().catch((error: unknown) => {
    if (!(error instanceof NotMeasurable)) throw error;
    console.error(`${name.padEnd(15)} is not measured here. ${error.message}`);
    process.exitCode = 1;
  });
  if (figure === undefined) continue;
  const { notes, ...line } = {
    ...figure,
    ours: rounded(figure.ours),
    reference: figure.reference === null ? null : rounded(figure.reference),
    ratio: figure.ratio === null ? null : rounded(figure.ratio),
  };
  if (json) {
    console.log(JSON.stringify(line));
    continue;
  }
  const against = line.reference === null ? '' : `  reference ${line.reference}  ratio ${line.ratio}`;
  console.log(`${line.name.padEnd(15)} ${line.ours} ${line.unit}${against}  (${line.runs} runs)`);
  for (const [key, value] of Object.entries(notes ?? {})) console.log(`${' '.repeat(16)}${key}: ${value}`);
}
