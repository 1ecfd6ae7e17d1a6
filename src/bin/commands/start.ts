import { relative } from 'node:path';
import { openDataFolder, programCommand } from '../../embedded/index.ts';
import { createPool } from '../../store/index.ts';
import type { Context } from '../context.ts';
import { allowing, sampleReceivers, startSample, type RunningSample } from '../sample/sample-workspace.ts';
import { showAsLines, showAsList, type ShowStages } from '../system/stages.ts';
import { startSystem, type System } from '../system/system.ts';

/** `trailmark start`: everything on this machine, until it is told to stop. */
export async function runStart(context: Context): Promise<void> {
  const { config, env, signal } = context;
  const print = (line: string): void => console.log(line);
  const show = context.terminal ? showAsList : showAsLines(print);
  const since = Date.now();
  const data = await openDataFolder(config.TRAILMARK_DATA);
  try {
    const receivers = await sampleReceivers(data.path);
    const starting = startSystem(
      {
        config,
        env,
        data,
        show,
        onNotice: print,
        // The sample's receivers are on this machine, and nothing else that is becomes reachable for them.
        extraEnv: config.TRAILMARK_SAMPLE ? allowing(config, receivers.addresses) : {},
      },
      signal,
    );
    context.onForce(() => starting.kill());
    // Aborted on the way it has ended what it started, which is worth waiting for.
    const system = await starting.started.catch((error: unknown) => {
      if (signal.aborted) return undefined;
      throw error;
    });
    if (system === undefined) return;
    let sample: RunningSample | null = null;
    try {
      if (config.TRAILMARK_SAMPLE)
        sample = await fillSample(system, { dataFolder: data.path, ports: receivers.ports }, show, signal);
      if (!signal.aborted) {
        for (const line of welcome(system, sample, { data: data.path, seconds: (Date.now() - since) / 1000 }))
          print(line);
        await aborted(signal);
      }
      print('Stopping …');
    } finally {
      await sample?.close();
      await system.stop();
    }
    print('Stopped. Nothing is lost; start again at any time.');
  } finally {
    await data.release();
  }
}

/** The sample workspace, filled on an empty folder, its receivers listening. Given up when `signal` is aborted; the next start goes on. */
async function fillSample(
  system: System,
  where: Pick<Parameters<typeof startSample>[0], 'dataFolder' | 'ports'>,
  show: ShowStages,
  signal: AbortSignal,
): Promise<RunningSample | null> {
  let sample: RunningSample | null = null;
  const fill = async (report: (text: string) => void): Promise<string> => {
    const pool = createPool({
      connectionString: system.addresses.databaseUrl,
      applicationName: 'trailmark-sample',
      max: 2,
      onError: () => undefined,
    });
    try {
      sample = await startSample({ pool, ...where, apiUrl: system.apiUrl, onProgress: report });
    } finally {
      await pool.end();
    }
    if (sample === null) return 'none, for this folder has workspaces of its own';
    return sample.sent === 0 ? 'is there' : `${sample.sent} events sent`;
  };
  const filling = show([{ title: 'Sample workspace', run: fill }]);
  await untilAborted(filling, signal);
  return sample;
}

/** How this program is called from where the person is. */
function thisCommand(): string {
  const main = relative(process.cwd(), programCommand().args.at(-1) ?? '');
  return main.endsWith('.ts') ? `npx tsx ${main}` : `node ${main}`;
}

/** What is where, and who may sign in. */
function welcome(system: System, sample: RunningSample | null, facts: { data: string; seconds: number }): string[] {
  const lines = [
    '',
    `Trailmark is up, after ${facts.seconds.toFixed(1)} s.`,
    `  App and API   ${system.apiUrl}   (reference at ${system.apiUrl}/docs)`,
    `  Temporal      ${describeTemporal(system)}`,
    `  Data, logs    ${facts.data}`,
    '',
  ];
  if (sample === null) {
    lines.push(
      'Who may use it: whoever has an access token. This makes one, and the workspace where there is none yet:',
      `  TRAILMARK_DATA=${facts.data} ${thisCommand()} token --workspace NAME --name mine --create`,
    );
  } else {
    lines.push('Who may sign in to the sample workspace:');
    for (const { email, password, role } of sample.access.users) {
      lines.push(`  ${email.padEnd(22)} ${password}   (${role})`);
    }
    lines.push(`  Authorization: Bearer ${sample.access.ownerToken}   (for the API, as Workspace Owner)`);
  }
  return [...lines, '', 'Ctrl-C stops it and loses nothing.'];
}

function describeTemporal({ temporalUiUrl, temporalIsEmbedded, addresses: { temporalAddress } }: System): string {
  if (!temporalIsEmbedded) return `${temporalAddress}, a server of yours`;
  return temporalUiUrl ?? `${temporalAddress}   (TRAILMARK_TEMPORAL_UI=on serves its pages)`;
}

/** What `work` comes to, or undefined once `signal` is aborted: then nobody waits for it, or hears of its errors, any more. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const given = work.catch((error: unknown) => {
    if (signal.aborted) return undefined;
    throw error;
  });
  return await Promise.race([given, aborted(signal).then(() => undefined)]);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((done) => signal.addEventListener('abort', () => done(), { once: true }));
}
