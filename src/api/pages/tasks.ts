import { html } from 'hono/html';
import type { TaskView } from '../../tasks/index.ts';
import { badge, moment, number, type Markup } from './parts/layout.ts';
import { progressBar } from './parts/progress.ts';
import { resultCounts, TASK_STATES, whatTask } from './parts/words.ts';

/** Runs and syncs, newest first: what is true of each now, its steps, and its attempts on request. */
export function taskList(tasks: TaskView[], options: { withName: boolean }): Markup {
  if (tasks.length === 0) return html`<p class="soft">None yet.</p>`;
  return html`<ol class="list">
    ${tasks.map((task) => taskItem(task, options.withName))}
  </ol>`;
}

function taskItem(task: TaskView, withName: boolean): Markup {
  const state = TASK_STATES[task.truth.state];
  return html`<li data-key="${task.id}">
    <div class="row">
      ${badge(state.label, state.tone)}
      <strong
        >${withName ? html`<a href="/computations/${task.computation.id}">${task.computation.name}</a> · ` : ''}<a
          href="/tasks/${task.id}"
          >${whatTask(task)}</a
        ></strong
      >
    </div>
    <div class="soft small">
      ${moment(task.createdAt)}${
        task.attempt === 0 ? '' : ` · attempt ${task.attempt} of ${task.maxAttempts}`
      }${counts(task)}
    </div>
    <div class="small">${task.truth.sentence}</div>
    ${progressBar(task)}
    <ol class="steps" aria-label="Steps" data-key="steps">
      ${task.steps.map((step) => stepItem(task, step))}
    </ol>
    ${task.attempts.some((attempt) => attempt.outcome === 'failed') ? attempts(task) : ''}
  </li>`;
}

function stepItem(task: TaskView, step: TaskView['steps'][number]): Markup {
  const failing = task.attempts.at(-1);
  const look =
    step.completedAt !== null
      ? { name: 'done', word: 'done' }
      : failing?.outcome === 'failed' && failing.step === step.name
        ? { name: 'failed', word: 'failed' }
        : step.startedAt === null
          ? { name: 'open', word: 'not begun' }
          : task.truth.state === 'running' || (task.truth.state === 'retrying' && task.status === 'running')
            ? { name: 'now', word: 'running' }
            : { name: 'open', word: task.endedAt === null ? 'begun, and goes on from there' : 'begun' };
  const progress = step.progress === null ? '' : ` ${number(step.progress.done)}/${number(step.progress.total)}`;
  return html`<li class="${look.name}" title="${step.name}: ${look.word}">${step.name}${progress}</li>`;
}

const OUTCOMES = { succeeded: 'Succeeded', cancelled: 'Cancelled', none: 'Under way' };

function attempts(task: TaskView): Markup {
  return html`<details data-key="attempts">
    <summary>Attempts</summary>
    <ol class="list small">
      ${task.attempts.map(
        (attempt) =>
          html`<li>
            <div class="row">
              ${
                attempt.outcome === 'failed'
                  ? badge(attempt.failureClass === 'hard' ? 'Failed for good' : 'Failed', 'bad')
                  : badge(OUTCOMES[attempt.outcome ?? 'none'], attempt.outcome === 'succeeded' ? 'good' : 'wait')
              }
              <span>Attempt ${attempt.attempt} of ${task.maxAttempts}</span>
              ${attempt.step === null ? '' : html`<span>at <code>${attempt.step}</code></span>`}
              ${attempt.code === null ? '' : html`<code>${attempt.code}</code>`}
            </div>
            <div>
              <span class="soft">${moment(attempt.endedAt ?? attempt.startedAt)}</span> ${attempt.message ?? ''}
            </div>
          </li>`,
      )}
    </ol>
  </details>`;
}

// The first ones always, the others where there are any. That all changes were delivered is plain from that.
const SHOWN_IF_NONE = new Set(['members', 'values', 'entered', 'left', 'delivered']);

function counts(task: TaskView): string {
  return resultCounts(task)
    .filter(([name, value]) => name !== 'changes' && (value > 0 || SHOWN_IF_NONE.has(name)))
    .map(([name, value]) => ` · ${number(value)} ${name}`)
    .join('');
}
