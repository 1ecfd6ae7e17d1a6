import { html } from 'hono/html';
import type { StepExecutionView, TaskView } from '../../../tasks/index.ts';
import { badge, countCell, moment, type Markup, type Tone } from './layout.ts';
import { took } from './words.ts';

const OUTCOMES: Record<NonNullable<StepExecutionView['outcome']>, { label: string; tone: Tone }> = {
  completed: { label: 'Done', tone: 'good' },
  failed: { label: 'Failed', tone: 'bad' },
  interrupted: { label: 'Interrupted', tone: 'idle' },
};

/** What each attempt executed, step by step: how long it took and what became of the rows. */
export function executionTable(task: TaskView): Markup {
  if (task.attempts.length === 0) return html`<p class="soft">No attempt has begun yet.</p>`;
  return html`<table class="cards executions">
    <thead>
      <tr>
        <th scope="col">Step</th>
        <th scope="col">Outcome</th>
        <th scope="col">Began</th>
        <th scope="col" class="number">Took</th>
        <th scope="col" class="number">Rows in</th>
        <th scope="col" class="number">Rows out</th>
        <th scope="col" class="number">Rejected</th>
      </tr>
    </thead>
    ${task.attempts.map(
      (attempt) =>
        html`<tbody data-key="attempt-${attempt.attempt}">
          <tr class="group">
            <th scope="rowgroup" colspan="7">${attemptHead(task, attempt)}</th>
          </tr>
          ${attempt.executions.map(executionRow)}
        </tbody>`,
    )}
  </table>`;
}

function attemptHead(task: TaskView, attempt: TaskView['attempts'][number]): Markup {
  const outcome =
    attempt.outcome === 'failed'
      ? badge(attempt.failureClass === 'hard' ? 'Failed for good' : 'Failed', 'bad')
      : attempt.outcome === null
        ? badge(task.status === 'running' ? 'Under way' : 'Held', 'wait')
        : badge(
            attempt.outcome === 'succeeded' ? 'Succeeded' : 'Cancelled',
            attempt.outcome === 'succeeded' ? 'good' : 'idle',
          );
  return html`<span class="row"
      >Attempt ${attempt.attempt} of ${task.maxAttempts} ${outcome}
      ${attempt.durationMs === null ? '' : html`<span class="soft">took ${took(attempt.durationMs)}</span>`}
      ${attempt.step === null ? '' : html`<span>at <code>${attempt.step}</code></span>`}
      ${attempt.code === null ? '' : html`<code>${attempt.code}</code>`}</span
    >
    ${attempt.message === null ? '' : html`<span class="soft">${attempt.message}</span>`}`;
}

function executionRow(execution: StepExecutionView): Markup {
  const outcome =
    execution.outcome === null ? { label: 'Running', tone: 'wait' as const } : OUTCOMES[execution.outcome];
  return html`<tr data-key="${execution.step}-${execution.execution}">
    <td class="title"><code>${execution.step}</code></td>
    <td data-label="Outcome">
      ${badge(outcome.label, outcome.tone)} ${execution.code === null ? '' : html`<code>${execution.code}</code>`}
    </td>
    <td data-label="Began">${moment(execution.startedAt)}</td>
    <td data-label="Took" class="number">${took(execution.durationMs)}</td>
    ${countCell('Rows in', execution.rowsIn)} ${countCell('Rows out', execution.rowsOut)}
    ${countCell('Rejected', execution.rejected)}
  </tr>`;
}
