import { html } from 'hono/html';
import type { TaskView } from '../../../tasks/index.ts';
import { badge, countCell, moment, number, type Markup } from './layout.ts';
import { TASK_REASONS, TASK_STATES, took, whatTask } from './words.ts';

/** Runs and syncs, newest first, one a row: when, how long, rows in, rows out, rejected and why. */
export function historyTable(tasks: readonly TaskView[]): Markup {
  if (tasks.length === 0) return html`<p class="soft">None.</p>`;
  return html`<table class="cards history">
    <thead>
      <tr>
        <th scope="col">Task</th>
        <th scope="col">When</th>
        <th scope="col">Now</th>
        <th scope="col" class="number">Took</th>
        <th scope="col" class="number">Attempts</th>
        <th scope="col" class="number">Rows in</th>
        <th scope="col" class="number">Rows out</th>
        <th scope="col">Rejected, and why</th>
      </tr>
    </thead>
    <tbody>
      ${tasks.map((task) => {
        const state = TASK_STATES[task.truth.state];
        const rows = rowsOf(task);
        return html`<tr data-key="${task.id}">
          <td class="title">
            <a href="/tasks/${task.id}">${whatTask(task)}</a>
            <span class="soft small">${TASK_REASONS[task.reason]}</span>
          </td>
          <td data-label="When">${moment(task.createdAt)}</td>
          <td data-label="Now">${badge(state.label, state.tone)}</td>
          <td data-label="Took" class="number">${took(task.durationMs)}</td>
          <td data-label="Attempts" class="number">${task.attempt}</td>
          ${countCell('Rows in', rows.in)} ${countCell('Rows out', rows.out)}
          <td data-label="Rejected" class="small${task.rejectedRows === 0 ? ' none' : ''}">${rejected(task)}</td>
        </tr>`;
      })}
    </tbody>
  </table>`;
}

/** Of a run: what it computed, and what of that differs. Of a sync: the changes there were, and what was delivered of them. */
function rowsOf({ kind, result, attempts }: TaskView): { in: number | null; out: number | null } {
  const count = (name: string): number | null => {
    const value = result?.[name];
    return typeof value === 'number' ? value : null;
  };
  const executions = attempts.flatMap((attempt) => attempt.executions);
  const last = (step: string): number | null =>
    executions.findLast((execution) => execution.step === step && execution.rowsOut !== null)?.rowsOut ?? null;
  if (kind === 'run') return { in: count('members') ?? last('compute'), out: last('diff') };
  const delivered = executions.filter(({ step, rowsOut }) => step === 'deliver' && rowsOut !== null);
  return {
    in: count('changes') ?? last('extract'),
    out:
      count('delivered') ??
      (delivered.length === 0 ? null : delivered.reduce((sum, { rowsOut }) => sum + (rowsOut ?? 0), 0)),
  };
}

function rejected({ rejectedRows, rejectedReasons }: TaskView): Markup | string {
  if (rejectedRows === 0) return '–';
  const [first] = rejectedReasons;
  if (first === undefined) return number(rejectedRows);
  const others = rejectedReasons.length > 1 ? ', and others' : '';
  return html`<strong>${number(rejectedRows)}</strong>
    ${first.status === null ? '' : `${first.status}: `}${shortened(first.reason)}${others}`;
}

function shortened(text: string): string {
  const points = Array.from(text);
  return points.length > 80 ? `${points.slice(0, 79).join('')}…` : text;
}
