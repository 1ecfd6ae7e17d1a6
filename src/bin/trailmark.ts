#!/usr/bin/env node
import { nodeProblem } from './node-version.ts';

// Everything else is loaded after this: an old Node would end in the middle of it with a syntax error.
const problem = nodeProblem(process.versions.node);
if (problem === undefined) {
  const { main } = await import('./main.ts');
  await main();
} else {
  console.error(`trailmark: ${problem}`);
  process.exitCode = 1;
}
