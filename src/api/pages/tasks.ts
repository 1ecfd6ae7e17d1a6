import { html } from 'hono/html';
import type { TaskView } from '../../tasks/index.ts';
import { badge, moment, number, type Markup, type Tone } from './layout.ts';

const STATES: Record<TaskView['truth']['state'], { label: string; tone: Tone }> = {
  waiting: { label: 'Waiting', tone: 'idle' },
  running: { label: 'Running', tone: 'wait' },
  retrying: { label: 'Retrying', tone: 'wait' },
  paused: { label: 'Paused', tone: 'idle' },
  waiting_for_destination: { label: 'Waiting', tone: 'wait' },
  awaiting_approval: { label: 'Awaiting approval', tone: 'bad' },
  succeeded: { label: 'Succeeded', tone: 'good' },
  recovered: { label: 'Recovered', tone: 'good' },
  hard_failure: { label: 'Hard failure', tone: 'bad' },
  made_good: { label: 'Made good later', tone: 'good' },
  cancelled: { label: 'Cancelled', tone: 'idle' },
};

/** Runs and syncs, newest first: what is true of each now, its steps, and its attempts on request. */
export function taskList(tasks: TaskView[], options: { withName: boolean }): Markup {
  if (tasks.length === 0) return html`<p class="soft">None yet.</p>`;
  return html`<ol class="list">
    ${tasks.map((task) => taskItem(task, options.withName))}
  </ol>`;
}

function taskItem(task: TaskView, withName: boolean): Markup {
  const state = STATES[task.truth.state];
  const what = task.kind === 'run' ? 'Run' : `Sync to ${task.destination?.name ?? 'a destination that is gone'}`;
  return html`<li data-key="${task.id}">
    <div class="row">
      ${badge(state.label, state.tone)}
      <strong
        >${withName ? html`<a href="/computations/${task.computation.id}">${task.computation.name}</a> · ` : ''}${what}</strong
      >
    </div>
    <div class="soft small">
      ${moment(task.createdAt)}${
        task.attempt === 0 ? '' : ` · attempt ${task.attempt} of ${task.maxAttempts}`
      }${counts(task)}
    </div>
    <div class="small">${task.truth.sentence}</div>
    <ol class="steps" aria-label="Steps">
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
        : step.startedAt !== null && task.status === 'running'
          ? { name: 'now', word: 'running' }
          : { name: 'open', word: 'not begun' };
  const progress = step.progress === null ? '' : ` ${step.progress.done}/${step.progress.total}`;
  return html`<li class="${look.name}" title="${step.name}: ${look.word}">${step.name}${progress}</li>`;
}

const OUTCOMES = { succeeded: 'Succeeded', cancelled: 'Cancelled', none: 'Under way' };

function attempts(task: TaskView): Markup {
  return html`<details>
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

// What people want of a result, in the order of reading: the first ones always, the others where there are any.
const COUNTS = ['members', 'entered', 'exited', 'delivered', 'changed', 'rejected', 'skipped'];
const SHOWN_IF_NONE = new Set(COUNTS.slice(0, 4));

function counts(task: TaskView): string {
  return COUNTS.map((name) => [name, task.result?.[name]] as const)
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number')
    .filter(([name, value]) => value > 0 || SHOWN_IF_NONE.has(name))
    .map(([name, value]) => ` · ${number(value)} ${name}`)
    .join('');
}
