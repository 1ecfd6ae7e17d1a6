import { html } from 'hono/html';
import { FAILURES, isFailureCode } from '../../errors.ts';
import type { TaskView } from '../../tasks/index.ts';
import type { Markup } from './layout.ts';

/** What people have to act on: each hard failure that stands, with what to do about it. Nothing, said as such, where there is none. */
export function needsYou(failures: TaskView[], options: { withName: boolean }): Markup {
  if (failures.length === 0) {
    return html`<p class="note good" data-key="needs-you">Nothing needs you: no hard failure stands.</p>`;
  }
  return html`<section class="needs-you" aria-labelledby="needs-you-title" data-key="needs-you-list">
    <h2 id="needs-you-title">${failures.length === 1 ? 'One thing needs' : `${failures.length} things need`} you</h2>
    <ol class="list">
      ${failures.map(
        (task) =>
          html`<li data-key="${task.id}">
            <strong
              >${
                options.withName
                  ? html`<a href="/computations/${task.computation.id}">${task.computation.name}</a> · `
                  : ''
              }${task.kind === 'run' ? 'Run' : `Sync to ${task.destination?.name ?? ''}`}</strong
            >
            <div>${task.truth.sentence}</div>
            ${remedy(task)}
          </li>`,
      )}
    </ol>
  </section>`;
}

function remedy(task: TaskView): Markup | string {
  const code = task.attempts.at(-1)?.code;
  return isFailureCode(code) ? html`<div>What to do: ${FAILURES[code].action}</div>` : '';
}
