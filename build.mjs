// Builds dist/: TypeScript to JavaScript, the migrations beside it, and the bundle of workflows that workers load.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('.', import.meta.url)));

// A start builds first; where nothing has changed since the last build there is nothing to do.
const stamp = fingerprint(
  ['src', 'workflows', 'activities', 'bench', 'migrations'],
  ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'build.mjs'],
);
if (existsSync('dist/.stamp') && readFileSync('dist/.stamp', 'utf8') === stamp) process.exit(0);

rmSync('dist', { recursive: true, force: true });
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
cpSync('migrations', 'dist/migrations', { recursive: true });
const { bundleWorkflowCode } = await import('@temporalio/worker');
const silent = { trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error, log() {} };
const { code } = await bundleWorkflowCode({
  workflowsPath: join(process.cwd(), 'dist/workflows/index.js'),
  logger: silent,
});
writeFileSync('dist/workflow-bundle.js', code);
writeFileSync('dist/.stamp', stamp);

function fingerprint(folders, files) {
  const hash = createHash('sha256').update(process.version);
  for (const folder of folders) {
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
      if (/\.(ts|sql)$/.test(name)) files.push(join(folder, name));
    }
  }
  for (const file of files)
    if (existsSync(file)) hash.update(file).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}
