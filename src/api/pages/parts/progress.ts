import { html } from 'hono/html';
import { inWords, type TaskView } from '../../../tasks/index.ts';
import { number, type Markup } from './layout.ts';

/** How far a task is, as a bar and in words: done of total, how fast, and the time left, as far as these are known. */
export function progressBar({ progress }: Pick<TaskView, 'progress'>): Markup | string {
  if (progress === null) return '';
  const { step, done, total, rowsPerSecond, secondsLeft } = progress;
  const words = [
    `${number(done)} of ${number(total)} rows`,
    ...(rowsPerSecond === null ? [] : [`${number(rowsPerSecond)} rows/s`]),
    ...(secondsLeft === null
      ? []
      : [secondsLeft === 0 ? 'all but done' : `about ${inWords(secondsLeft * 1_000)} left`]),
  ].join(' · ');
  return html`<div class="progress small" data-key="progress">
    <progress max="${Math.max(total, 1)}" value="${total === 0 ? 1 : done}" aria-label="Progress of ${step}"></progress>
    <span>${words}</span>
  </div>`;
}
