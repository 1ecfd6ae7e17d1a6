/** What can be found of the work itself, while every port answers. Stable: metrics and scripts know them. */
export const HEALTH_CODES = [
  'scheduler_silent',
  'schedule_wrong',
  'schedules_restored',
  'temporal_unreachable',
  'no_worker',
  'events_waiting',
  'log_held_back',
  'positions_impossible',
  'runs_late',
  'tasks_waiting',
  'tasks_overdue',
  'bookkeeping_refused',
  'alerts_overdue',
  'deliveries_waiting',
  'work_unknown',
] as const;
type HealthCode = (typeof HEALTH_CODES)[number];

export interface HealthFinding {
  code: HealthCode;
  /**
   * stopped: what is taken in now would get nowhere, so nothing should be sent here. degraded: what is taken in is safe and will be worked
   * off once this is mended. notice: it is over, and somebody should know.
   */
  severity: 'stopped' | 'degraded' | 'notice';
  /** One sentence that anyone may read. */
  message: string;
  /** What to do. */
  remedy: string;
  /** For who runs this installation alone: process ids, names of programs, ids of tasks. */
  detail?: string;
}

/** After how many seconds a silence, or a wait, is a finding. */
export interface HealthLimits {
  /** `TRAILMARK_HEALTH_AFTER_SECONDS`: of what is a matter of seconds when all is well. */
  afterSeconds: number;
}

/** Seconds as people say them. */
export function sayDuration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} minutes`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} hours` : `${Math.round(seconds / 86_400)} days`;
}
