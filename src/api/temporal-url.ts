import type { ApiDeps } from './deps.ts';

/** Where Temporal's own pages show the workflow of a task; null where it is not known where they are. */
export function temporalUrlOf(taskId: string, { temporalUiUrl }: Pick<ApiDeps, 'temporalUiUrl'>): string | null {
  if (temporalUiUrl === undefined) return null;
  return `${temporalUiUrl.replace(/\/+$/, '')}/workflows/${encodeURIComponent(`task/${taskId}`)}`;
}
