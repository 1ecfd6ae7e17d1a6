const OLDEST = [20, 3] as const;

/** What is wrong with this version of Node, as a sentence; undefined where nothing is. Imports nothing, so that any Node can ask. */
export function nodeProblem(version: string): string | undefined {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return undefined;
  return `Trailmark needs Node ${OLDEST.join('.')} or later, and this is ${version}. Install a newer one from https://nodejs.org and run the command again.`;
}
