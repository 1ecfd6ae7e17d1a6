import { html } from 'hono/html';
import type { ComputationView } from '../../../computations/index.ts';
import { FAILURES, isFailureCode } from '../../../errors.ts';
import type { TaskView } from '../../../tasks/index.ts';
import type { Markup } from './layout.ts';

/** What somebody has to act on, and what to do about it. */
interface Need {
  key: string;
  computation: { id: string; name: string };
  what: Markup | string;
  sentence: string;
  remedy: Markup | string;
}

/**
 * What people have to act on: runs that wait for approval, what the system has stopped, and each hard failure that stands, with what
 * to do about it. Nothing, said as such, where there is none.
 */
export function needsYou(
  input: { computations: readonly ComputationView[]; tasks: readonly TaskView[] },
  options: { withName: boolean },
): Markup {
  const needs = [...input.computations.flatMap(stoppedBySystem), ...input.tasks.map(taskNeed)];
  if (needs.length === 0) {
    return html`<p class="note good" data-key="needs-you">Nothing needs you: no hard failure stands.</p>`;
  }
  return html`<section class="needs-you" aria-labelledby="needs-you-title" data-key="needs-you-list">
    <h2 id="needs-you-title">${needs.length === 1 ? 'One thing needs' : `${needs.length} things need`} you</h2>
    <ol class="list">
      ${needs.map(
        (need) =>
          html`<li data-key="${need.key}">
            <strong
              >${
                options.withName
                  ? html`<a href="/computations/${need.computation.id}">${need.computation.name}</a> · `
                  : ''
              }${need.what}</strong
            >
            <div>${need.sentence}</div>
            ${need.remedy === '' ? '' : html`<div>What to do: ${need.remedy}</div>`}
          </li>`,
      )}
    </ol>
  </section>`;
}

/** A computation that the system has disabled, or the syncs of it that it has suspended: nobody else will set them going. */
function stoppedBySystem(view: ComputationView): Need[] {
  const computation = { id: view.id, name: view.name };
  if (!view.enabled) {
    return view.disabled_reason === null
      ? []
      : [
          {
            key: `${view.id}-disabled`,
            computation,
            what: 'Disabled by the system',
            sentence: view.disabled_reason,
            remedy: 'Mend what failed, then enable it: it starts clean.',
          },
        ];
  }
  return view.connections.flatMap((connection) =>
    connection.suspended_at === null
      ? []
      : [
          {
            key: `${connection.id}-suspended`,
            computation,
            what: `Syncs to ${connection.destination_name} suspended by the system`,
            sentence: connection.suspended_reason ?? '',
            remedy: 'Mend what failed, then resume them: what was missed is sent.',
          },
        ],
  );
}

function taskNeed(task: TaskView): Need {
  const code = task.attempts.at(-1)?.code;
  return {
    key: task.id,
    computation: task.computation,
    what: html`<a href="/tasks/${task.id}"
      >${task.kind === 'run' ? 'Run' : `Sync to ${task.destination?.name ?? ''}`}</a
    >`,
    sentence: task.truth.sentence,
    remedy:
      task.status === 'awaiting_approval'
        ? html`<a href="/tasks/${task.id}"
              >See who would ${task.computation.kind === 'audience' ? 'leave' : 'lose the value'}</a
            >, then approve or discard it.`
        : isFailureCode(code)
          ? FAILURES[code].action
          : '',
  };
}
