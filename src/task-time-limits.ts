/**
 * The task timeout, in milliseconds: so long may an attempt execute at a stretch. Being paused, waiting for a destination and
 * the time between attempts do not count. Pure, because workflows import it; and by itself, because the time for which an alert
 * is held is made of it too.
 */
export const TASK_TIMEOUT_MS: Readonly<Record<'run' | 'sync', number>> = { run: 2 * 3_600_000, sync: 24 * 3_600_000 };
