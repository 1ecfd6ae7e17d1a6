#!/usr/bin/env node
import { Command } from 'commander';
import { readConfig } from '../config.ts';

const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'disconnect'] as const) {
  process.on(name, () => stopping.abort());
}

const program = new Command('trailmark');
program
  .command('clickhouse')
  .option('--folder <path>')
  .action(async (options: { folder?: string }) => {
    const { runClickHouse } = await import('./commands/clickhouse.ts');
    const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);
    await runClickHouse(readConfig(process.env), { ...options, threads }, stopping.signal);
  });
await program.parseAsync();
process.exit(0);
