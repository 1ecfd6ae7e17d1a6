import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ApiClient } from '../../src/sample/api-client.ts';

/*
 * npm run schemathesis: the built program with the sample workspace is asked at random for everything in its own document, and has to answer
 * as that says and never with a server error. Needs Python 3.10 or later, and makes a virtual environment of its own.
 */

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const python = process.env['PYTHON'] ?? 'python3';
const venv = process.env['SCHEMATHESIS_VENV'] ?? join(root, 'node_modules/.cache/schemathesis');
const SEED = '7';
/** Each operation has so many random calls besides the examples and the edges of its parameters. */
const MAX_EXAMPLES = 6;
/** A run ends when it has made its calls. One that takes longer than this is ended, and has failed. */
const MAX_SECONDS = { changing: 400, deleting: 200 };
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
];
// Sends to an address that may have been made up a moment ago: a made-up name must not be asked for on the network.
const EXCLUDED = ['/alert-channels/{channelId}/tests'];

const folder = await mkdtemp(join(tmpdir(), 'trailmark-schemathesis-'));
// A line for each thing that was deleted: the path of the operation.
const deleted = join(folder, 'deleted.txt');
const server = spawn(process.execPath, [join(root, 'dist/src/bin/trailmark.js'), 'start'], {
  env: { ...process.env, TRAILMARK_DATA: join(folder, 'data'), TRAILMARK_PORT: '0', TRAILMARK_RATE_LIMIT: '100000' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const passed: boolean[] = [];
try {
  await install();
  const { apiUrl, token } = await started(server);
  const ids = await readIds(new ApiClient(apiUrl, token));
  // What changes things, with the ids of things that are there, so that most calls find something. What deletes them, with made-up ones
  // and with those of things that were made for it.
  passed.push(
    await schemathesis('changing', { apiUrl, token, ids }),
    await schemathesis('deleting', { apiUrl, token, ids: { spaceId: ids['spaceId'] ?? '' } }),
    await isEachDeleted(apiUrl),
  );
} finally {
  server.kill('SIGTERM');
  if (server.exitCode === null) await once(server, 'exit');
  await rm(folder, { recursive: true, force: true });
}
process.exit(passed.every(Boolean) ? 0 : 1);

async function install(): Promise<void> {
  const pip = join(venv, 'bin/pip');
  const run = promisify(execFile);
  if (!existsSync(pip)) await run(python, ['-m', 'venv', venv]);
  await run(pip, ['install', '--quiet', '--requirement', join(here, 'requirements.txt')]);
}

/** Where it listens and the owner's token, once it says that it is up. */
async function started(program: ChildProcessByStdio<null, Readable, null>): Promise<{ apiUrl: string; token: string }> {
  let written = '';
  await new Promise<void>((resolve, reject) => {
    program.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      written += chunk;
      if (written.includes('Ctrl-C stops it')) resolve();
    });
    program.once('exit', () => reject(new Error(`trailmark start ended:\n${written}`)));
  });
  const apiUrl = /App and API\s+(http:\S+)/.exec(written)?.[1];
  const token = /Authorization: Bearer (\S+)/.exec(written)?.[1];
  if (apiUrl === undefined || token === undefined) throw new Error(`the address or the token is missing:\n${written}`);
  return { apiUrl, token };
}

/** One thing of each kind, by the name of the path's parameter. */
async function readIds(api: ApiClient): Promise<Record<string, string>> {
  // The first task comes with a tick of the scheduler.
  const deadline = Date.now() + 120_000;
  const firstOf = async (path: string, name: string): Promise<{ id: string }> => {
    for (;;) {
      const [first] = (await api.get<Record<string, { id: string }[]>>(path))[name] ?? [];
      if (first !== undefined) return first;
      if (Date.now() > deadline) throw new Error(`the sample workspace has no ${name}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  const spaceId = (await firstOf('/spaces', 'spaces')).id;
  const source = (await firstOf('/sources', 'sources')) as { id: string; writeKeys?: string[] };
  const url = 'http://127.0.0.1:9/alerts';
  const { channel } = await api.post<{ channel: { id: string } }>('/alert-channels', { name: 'Hook', url });
  return {
    spaceId,
    id: (await firstOf(`/spaces/${spaceId}/audiences`, 'audiences')).id,
    traitId: (await firstOf(`/spaces/${spaceId}/computed-traits`, 'computedTraits')).id,
    taskId: (await firstOf('/tasks', 'tasks')).id,
    destinationId: (await firstOf('/destinations', 'destinations')).id,
    destinationMetadataId: 'webhook',
    channelId: channel.id,
    sourceId: source.id,
  };
}

async function schemathesis(
  part: keyof typeof MAX_SECONDS,
  target: { apiUrl: string; token: string; ids: Record<string, string> },
): Promise<boolean> {
  const config = join(folder, `${part}.toml`);
  const { traitId, ...ids } = target.ids;
  const parameters = Object.entries(ids).map(([name, id]) => `"path.${name}" = ${JSON.stringify(id)}\n`);
  const ofTraits = `[[operations]]\ninclude-path-regex = "/computed-traits/"\nparameters = { "path.id" = "${traitId}" }\n`;
  const hooks = `hooks = ${JSON.stringify(join(here, 'fresh_ids.py'))}\n`;
  await writeFile(config, part === 'deleting' ? hooks : `[parameters]\n${parameters.join('')}\n${ofTraits}`);
  const options = {
    '--url': target.apiUrl,
    '--header': `Authorization: Bearer ${target.token}`,
    '--checks': CHECKS.join(','),
    '--seed': SEED,
    '--max-examples': String(MAX_EXAMPLES),
    '--phases': 'examples,coverage,fuzzing',
    '--suppress-health-check': 'all',
    [part === 'deleting' ? '--include-method' : '--exclude-method']: 'DELETE',
  };
  const args = [
    '--config-file',
    config,
    'run',
    `${target.apiUrl}/openapi.json`,
    '--no-shrink',
    '--continue-on-failure',
  ];
  for (const [name, value] of Object.entries(options)) args.push(name, value);
  for (const path of EXCLUDED) args.push('--exclude-path', path);
  const child = spawn(join(venv, 'bin/schemathesis'), args, {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      TRAILMARK_API: target.apiUrl,
      TRAILMARK_TOKEN: target.token,
      TRAILMARK_SPACE: target.ids['spaceId'],
      TRAILMARK_DELETED: deleted,
    },
  });
  // Not its own --max-time: given one, it goes on with further rounds until then, and ends well whatever it has not come to.
  const timer = setTimeout(() => {
    console.error(`Schemathesis (${part}) was not done after ${MAX_SECONDS[part]} seconds.`);
    child.kill('SIGKILL');
  }, MAX_SECONDS[part] * 1_000);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(timer);
  return code === 0;
}

/** Whether every operation that deletes has deleted something: with made-up ids alone, each would answer 404. */
async function isEachDeleted(apiUrl: string): Promise<boolean> {
  const response = await fetch(`${apiUrl}/openapi.json`);
  const document = (await response.json()) as { paths: Record<string, Record<string, unknown>> };
  const wanted = Object.entries(document.paths).flatMap(([path, methods]) => ('delete' in methods ? [path] : []));
  const done = new Set((await readFile(deleted, 'utf8').catch(() => '')).split('\n'));
  const missing = wanted.filter((path) => !done.has(path));
  for (const path of missing) console.error(`DELETE ${path} deleted nothing.`);
  console.log(`${wanted.length - missing.length} of ${wanted.length} operations that delete have deleted something.`);
  return missing.length === 0;
}
