import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * The command line that runs `trailmark` again: this same build, or these same sources. Its subcommand follows.
 */
export function programCommand(): { command: string; args: string[] } {
  const sources = import.meta.url.endsWith('.ts');
  const main = fileURLToPath(new URL(`../bin/trailmark.${sources ? 'ts' : 'js'}`, import.meta.url));
  if (!sources) return { command: process.execPath, args: [main] };
  return { command: process.execPath, args: [...sourceLoader(process.versions.node), main] };
}

/** What Node has to be told to run sources: tsx, which a Node before 20.6 takes as a loader and not as an import. */
export function sourceLoader(nodeVersion: string): string[] {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  // That Node warns of loaders in general, on every start.
  return major === 20 && minor < 6 ? ['--no-warnings', '--loader', tsx] : ['--import', tsx];
}
