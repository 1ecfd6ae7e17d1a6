import { html } from 'hono/html';
import { FAILURES, isFailureCode } from '../../errors.ts';
import type { RejectedRow, TaskActions, TaskView } from '../../tasks/index.ts';
import type { Reader } from '../answers/answer-page.ts';
import { confirmButton, button } from './parts/buttons.ts';
import { executionTable } from './parts/execution-table.ts';
import { badge, layout, moment, number, type Markup } from './parts/layout.ts';
import { progressBar } from './parts/progress.ts';
import { resultCounts, TASK_REASONS, TASK_STATES, took, whatTask } from './parts/words.ts';

export interface TaskPageInput extends Reader {
  task: TaskView;
  /** What can be done with it; nothing for who may change nothing. */
  actions: TaskActions | null;
  /** The first who would leave by a run that waits for approval; null where it does not wait, or it is not known any more. */
  leaving: { userId: string; anonymousId: string; profile: number }[] | null;
  /** The first rejected rows. */
  rejected: RejectedRow[];
  temporalUrl: string | null;
  /** Why what was asked for was not done. */
  problem?: string | undefined;
}

/** One run or sync: what is true of it, how far it is, what people can do with it, and what each attempt executed. */
export function taskPage(input: TaskPageInput): Markup {
  const { task, temporalUrl } = input;
  const state = TASK_STATES[task.truth.state];
  return layout({
    title: `${whatTask(task)} · ${task.computation.name}`,
    signedIn: input,
    live: `/tasks/${task.id}`,
    problem: input.problem,
    body: html`<p class="small">
        <a href="/">${input.workspaceName}</a> ›
        <a href="/computations/${task.computation.id}">${task.computation.name}</a>
      </p>
      <h1>${whatTask(task)}</h1>
      <div class="row status" data-key="status">
        ${badge(state.label, state.tone)}
        <span class="soft small">${TASK_REASONS[task.reason]}</span>
        ${task.attempt === 0 ? '' : html`<span class="soft small">attempt ${task.attempt} of ${task.maxAttempts}</span>`}
        ${task.durationMs === null ? '' : html`<span class="soft small">took ${took(task.durationMs)}</span>`}
        ${temporalUrl === null ? '' : html`<a class="small" href="${temporalUrl}" rel="noreferrer">Its workflow in Temporal</a>`}
      </div>
      <p class="note ${task.truth.needsAction ? 'bad' : state.tone}" data-key="truth">
        ${task.truth.sentence} ${remedy(task)}
      </p>
      ${progressBar(task)} ${task.status === 'awaiting_approval' ? approval(input) : ''}
      ${input.actions === null ? '' : actions(task, input.actions)}
      <section aria-labelledby="executions-title" data-key="executions">
        <h2 id="executions-title">Attempts and steps</h2>
        ${executionTable(task)}
      </section>
      ${task.rejectedRows === 0 ? '' : rejectedSection(input)}
      <section aria-labelledby="facts-title" data-key="facts">
        <h2 id="facts-title">Facts</h2>
        ${facts(task)}
      </section>`,
  });
}

/** What to do about a hard failure that nothing has resolved. */
function remedy(task: TaskView): string {
  const code = task.attempts.at(-1)?.code;
  return task.truth.state === 'hard_failure' && isFailureCode(code) ? `What to do: ${FAILURES[code].action}` : '';
}

function actions(task: TaskView, can: TaskActions): Markup | string {
  const address = `/tasks/${task.id}/actions`;
  const retryAt = can.retryFrom.at(-1);
  if (!can.cancel && retryAt === undefined && !can.redrive) return '';
  return html`<div class="row actions" role="group" aria-label="Actions" data-key="actions">
    ${
      retryAt === undefined
        ? ''
        : html`<form class="inline" method="post" action="${address}/retry" data-key="retry">
            <button ${task.truth.state === 'hard_failure' ? html`class="main"` : ''}>Retry</button>
            <label for="from-step">from</label>
            <select id="from-step" name="fromStep">
              ${can.retryFrom.map(
                (step) =>
                  html`<option value="${step}" ${step === retryAt ? 'selected' : ''}>
                    ${step}${step === retryAt ? ', where it ended' : ''}
                  </option>`,
              )}
            </select>
          </form>`
    }
    ${can.redrive ? button({ action: `${address}/redrive`, label: 'Send the rejected rows again' }) : ''}
    ${
      can.cancel
        ? confirmButton(
            { action: `${address}/cancel`, label: 'Cancel …' },
            {
              sentence: `What is under way is stopped.${task.kind === 'sync' ? ' What was delivered stays delivered; the next sync sends the rest.' : ' What is live stays as it is.'}`,
              confirm: `Cancel this ${task.kind}`,
              fields: html`<label for="reason">Why, for those who read the trail (if you like)</label>
                <input id="reason" name="reason" maxlength="500" autocomplete="off" />`,
            },
          )
        : ''
    }
  </div>`;
}

const GUARD_WORDS = {
  audience: {
    who: 'Who would leave',
    now: 'Members now',
    enter: 'Would enter',
    leave: 'Would leave',
    approve: 'Approve: let them leave',
  },
  computed_trait: {
    who: 'Who would lose the value',
    now: 'Values now',
    enter: 'Would get one',
    leave: 'Would lose theirs',
    approve: 'Approve: let them lose it',
  },
};

/** What the guard asks: how many would leave, who, and the two answers. */
function approval({ task, actions: can, leaving }: TaskPageInput): Markup {
  const address = `/tasks/${task.id}/actions`;
  const { guard } = task;
  const words = GUARD_WORDS[task.computation.kind];
  return html`<section class="needs-you" aria-labelledby="approval-title" data-key="approval">
    <h2 id="approval-title">${words.who}</h2>
    ${
      guard === null
        ? ''
        : html`<dl class="facts">
            <dt>${words.now}</dt>
            <dd>${number(guard.before)}</dd>
            <dt>Afterwards</dt>
            <dd>${number(guard.after)}</dd>
            <dt>${words.enter}</dt>
            <dd>${number(guard.entered)}</dd>
            <dt>${words.leave}</dt>
            <dd>${number(guard.exited)}</dd>
          </dl>`
    }
    ${
      leaving === null || leaving.length === 0
        ? ''
        : html`<p class="small">
            ${leaving.map(({ userId, anonymousId, profile }, index) => html`${index === 0 ? '' : ', '}<code>${userId || anonymousId || `profile ${profile}`}</code>`)}${
              guard !== null && guard.exited > leaving.length
                ? ` and ${number(guard.exited - leaving.length)} more`
                : ''
            }
          </p>`
    }
    ${
      can === null
        ? ''
        : html`<div class="row actions" role="group" aria-label="Answer">
            ${can.approve ? button({ action: `${address}/approve`, label: words.approve }) : ''}
            ${can.discard ? button({ action: `${address}/discard`, label: 'Discard: keep what is live', main: true }) : ''}
          </div>`
    }
  </section>`;
}

function rejectedSection({ task, rejected }: TaskPageInput): Markup {
  return html`<section aria-labelledby="rejected-title" data-key="rejected">
    <h2 id="rejected-title">Rejected rows</h2>
    <p>
      The destination refused ${number(task.rejectedRows)} ${task.rejectedRows === 1 ? 'row' : 'rows'} for good.
      <a href="/tasks/${task.id}/rejected-rows.csv" download>All of them as CSV</a>
    </p>
    <ul class="list small" aria-label="Why">
      ${task.rejectedReasons.map(
        ({ status, reason, rows }) =>
          html`<li><strong>${number(rows)}</strong> × ${status === null ? '' : `${status}: `}${reason}</li>`,
      )}
    </ul>
    <table class="cards">
      <thead>
        <tr>
          <th scope="col">Who</th>
          <th scope="col">Sent</th>
          <th scope="col">Answer</th>
          <th scope="col">Sent again</th>
        </tr>
      </thead>
      <tbody>
        ${rejected.map(
          (row) =>
            html`<tr data-key="row-${row.idx}">
              <td class="title"><code>${row.userId || row.anonymousId || `profile ${row.profile}`}</code></td>
              <td data-label="Sent"><code>${row.value === '' ? 'nothing any more' : row.value}</code></td>
              <td data-label="Answer" class="small">${row.status ?? ''} ${row.reason}</td>
              <td data-label="Sent again" class="small">
                ${row.redrivenBy === null ? '–' : html`<a href="/tasks/${row.redrivenBy}">by a later sync</a>`}
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
    ${
      task.rejectedRows > rejected.length
        ? html`<p class="soft small">The first ${rejected.length} of ${number(task.rejectedRows)}.</p>`
        : ''
    }
  </section>`;
}

function facts(task: TaskView): Markup {
  const times: [string, Date | null][] = [
    ['Slot', task.slotAt],
    ['Written', task.createdAt],
    ['Turn came', task.admittedAt],
    ['Began', task.startedAt],
    ['Approved', task.approvedAt],
    ['Ended', task.endedAt],
  ];
  return html`<dl class="facts">
    <dt>Id</dt>
    <dd><code>${task.id}</code></dd>
    ${times.map(([name, time]) =>
      time === null
        ? ''
        : html`<dt>${name}</dt>
            <dd>${moment(time)}</dd>`,
    )}
    ${
      task.parentTaskId === null
        ? ''
        : html`<dt>${task.reason === 'retry' || task.reason === 'redrive' ? 'Does again' : 'Comes from'}</dt>
            <dd>
              <a href="/tasks/${task.parentTaskId}"><code>${task.parentTaskId}</code></a>
            </dd>`
    }
    ${
      task.result?.['behind'] === true && typeof task.result['asOf'] === 'string'
        ? html`<dt>Events until</dt>
            <dd>${moment(new Date(task.result['asOf']))}: later ones were not loaded in time, and are not in it</dd>`
        : ''
    }
    ${resultCounts(task).map(
      ([name, value]) =>
        html`<dt>${name.charAt(0).toUpperCase()}${name.slice(1)}</dt>
          <dd>${number(value)}</dd>`,
    )}
  </dl>`;
}
