import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * The command line that runs `trailmark` again: this same build, or these same sources. Its subcommand follows.
 */
export function programCommand(): { command: string; args: string[] } {
  const sources = import.meta.url.endsWith('.ts');
  const main = fileURLToPath(new URL(`../bin/trailmark.${sources ? 'ts' : 'js'}`, import.meta.url));
  if (!sources) return { command: process.execPath, args: [main] };
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return { command: process.execPath, args: ['--import', loader, main] };
}
