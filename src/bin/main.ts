import { Command, Option } from 'commander';
import { readFileSync } from 'node:fs';
import type { DeployOptions } from './commands/deploy.ts';
import type { QuarantineOptions } from './commands/quarantine.ts';
import type { TokenOptions } from './commands/token.ts';
import type { WorkerOptions } from './commands/worker.ts';
import { readConfig } from '../config.ts';
import { StartError } from '../embedded/index.ts';
import { createContext, type Context } from './context.ts';
import { RequestError } from '../errors.ts';

/** Runs the command line and ends the process: 0, or 1 with a sentence on stderr. */
export async function main(): Promise<void> {
  try {
    await createProgram(createContext()).parseAsync();
  } catch (error) {
    const isForPeople = error instanceof StartError || error instanceof RequestError;
    console.error(isForPeople ? `trailmark: ${error.message}` : error);
    process.exit(1);
  }
  // Whatever a library left open must not keep a command that is done.
  process.exit(process.exitCode ?? 0);
}

function createProgram(base: Omit<Context, 'config'>): Command {
  const program = new Command('trailmark')
    .description('An audience engine whose audit trail tells the truth about every run and sync.')
    .version(readVersion(), '--version', 'prints the version')
    .showHelpAfterError('(trailmark --help lists the commands)');
  const context = (): Context => ({ ...base, config: readConfig(base.env) });
  // By it a start that follows a kill finds the children that are its own.
  const owner = (): Option => new Option('--owner <folder>', 'the data folder of the start this belongs to').hideHelp();

  program
    .command('start')
    .description('all of it: embedded engines, api, worker, and on an empty folder the sample workspace')
    .action(async () => {
      const { runStart } = await import('./commands/start.ts');
      await runStart(context());
    });
  program
    .command('api')
    .description('the HTTP API, the tracking API and the pages')
    .addOption(owner())
    .action(async () => {
      const { runApi } = await import('./commands/api.ts');
      const { config, signal, sayReady } = context();
      await runApi(config, signal, sayReady);
    });
  program
    .command('worker')
    .description('executes tasks, loads events into ClickHouse, delivers alerts; as many of them as you like')
    .option('--queues <kinds>', 'only these kinds of work, of workflows,compute,deliver,alerts; all where not given')
    .addOption(owner())
    .action(async (options: WorkerOptions) => {
      const { runWorker } = await import('./commands/worker.ts');
      const { config, signal, sayReady } = context();
      await runWorker(config, signal, sayReady, options);
    });
  program
    .command('clickhouse')
    .description("the embedded ClickHouse engine alone, speaking ClickHouse's HTTP interface")
    .option('--folder <path>', 'where its data is; the data folder has one called clickhouse')
    .action(async (options: { folder?: string }) => {
      const { runClickHouse } = await import('./commands/clickhouse.ts');
      await runClickHouse(context(), options);
    });
  program
    .command('migrate')
    .description('brings PostgreSQL and ClickHouse to the newest schema')
    .action(async () => {
      const { runMigrate } = await import('./commands/migrate.ts');
      await runMigrate(context());
    });
  program
    .command('demo')
    .description('the main job once, in a temporary folder')
    .option('--json', 'print one JSON object as the last line')
    .action(async (options: { json?: boolean }) => {
      const { runDemo } = await import('./commands/demo.ts');
      await runDemo(context(), { json: options.json === true });
    });
  program
    .command('token')
    .description('makes an access token for a workspace')
    .requiredOption('--workspace <slug>', 'the workspace, by its slug or id (required)')
    .requiredOption('--name <name>', 'what the token is for (required)')
    .addOption(
      new Option('--role <role>', 'what it may do')
        .choices(['workspace_owner', 'workspace_member', 'support'])
        .default('workspace_owner'),
    )
    .option('--create', 'make the workspace, on the business plan with a space called main, where there is none')
    .action(async (options: TokenOptions) => {
      const { runToken } = await import('./commands/token.ts');
      await runToken(context(), options);
    });
  program
    .command('deploy')
    .description('which build of the workers work goes to; shows what there is, or changes it')
    .option('--build-id <id>', 'the build that takes over, as its workers have it in TRAILMARK_BUILD_ID')
    .option('--ramp <percent>', 'only this share of the work goes to it; 0 takes it back')
    .action(async (options: DeployOptions) => {
      const { runDeploy } = await import('./commands/deploy.ts');
      await runDeploy(context(), options);
    });
  program
    .command('restore')
    .description('whether the database was restored from a dump, and what has to be done then')
    .option('--apply', 'do it')
    .action(async (options: { apply?: boolean }) => {
      const { runRestore } = await import('./commands/restore.ts');
      await runRestore(context(), { apply: options.apply === true });
    });
  const quarantine = program.command('quarantine').description('events that could not be loaded and were put aside');
  quarantine
    .command('list')
    .description('which, since when and why')
    .option('--workspace <slug>', 'only of this workspace, by its slug or id')
    .option('--source <id>', 'only of this source')
    .action(async (options: QuarantineOptions) => {
      const { runQuarantineList } = await import('./commands/quarantine.ts');
      await runQuarantineList(context(), options);
    });
  quarantine
    .command('redrive')
    .description('puts them back into the event log')
    .option('--workspace <slug>', 'only of this workspace, by its slug or id')
    .option('--source <id>', 'only of this source')
    .action(async (options: QuarantineOptions) => {
      const { runQuarantineRedrive } = await import('./commands/quarantine.ts');
      await runQuarantineRedrive(context(), options);
    });
  program
    .command('doctor')
    .description('what is reachable, which versions, what is wrong and how to mend it')
    .action(async () => {
      const { runDoctor } = await import('./commands/doctor.ts');
      process.exitCode = (await runDoctor(context())) ? 0 : 1;
    });
  return program;
}

/** The version in package.json, which is as far above the sources as above what is built of them, and `dist`. */
function readVersion(): string {
  const root = import.meta.url.endsWith('.ts') ? '../../' : '../../../';
  const text = readFileSync(new URL(`${root}package.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
