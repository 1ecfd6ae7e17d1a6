import { html } from 'hono/html';
import type { ComputationView } from '../../computations/index.ts';
import { inWords, type Overview, type TaskView } from '../../tasks/index.ts';
import type { Reader } from '../answers/answer-page.ts';
import { confirmButton, button } from './parts/buttons.ts';
import { historyTable } from './parts/history-table.ts';
import { statusBadge } from './home.ts';
import { layout, moment, number, type Markup } from './parts/layout.ts';
import { needsYou } from './parts/needs-you.ts';
import { taskList } from './tasks.ts';

export interface ComputationPageInput extends Reader {
  computation: ComputationView;
  overview: Overview;
  /** A page of its history, newest first, and the cursors of the pages beside it. */
  history: { tasks: TaskView[]; older: string | undefined; newer: string | undefined; at: string | undefined };
  /** Why what was asked for was not done. */
  problem?: string | undefined;
}

/** One computation: how it is and why, what it does now, what people can do with it, and its history. */
export function computationPage(input: ComputationPageInput): Markup {
  const { computation, overview, history } = input;
  const address = `/computations/${computation.id}`;
  const waiting = overview.runs.filter((task) => task.status === 'awaiting_approval');
  return layout({
    title: computation.name,
    signedIn: input,
    live: history.at === undefined ? address : `${address}?history=${history.at}`,
    problem: input.problem,
    body: html`<p class="small"><a href="/">${input.workspaceName}</a></p>
      <h1>${computation.name}</h1>
      <div class="row status" data-key="status">
        ${statusBadge(computation)}
        <span>${number(computation.live_size)} ${computation.kind === 'audience' ? 'members' : 'values'}</span>
        ${computation.live_as_of === null ? '' : html`<span class="soft small">as of ${moment(computation.live_as_of)}</span>`}
        <span class="soft small">${schedule(computation)}</span>
      </div>
      ${heldBack(computation)} ${input.principal.role === 'support' ? '' : actions(computation, overview)}
      ${needsYou(
        { computations: [computation], tasks: computation.enabled ? [...waiting, ...overview.hardFailures] : [] },
        { withName: false },
      )}
      <div class="columns" data-key="columns">
        <section aria-labelledby="runs-title">
          <h2 id="runs-title">Runs</h2>
          ${taskList(overview.runs, { withName: false })}
        </section>
        <section aria-labelledby="syncs-title">
          <h2 id="syncs-title">Syncs</h2>
          ${taskList(overview.syncs, { withName: false })}
        </section>
      </div>
      <section aria-labelledby="history-title" data-key="history">
        <h2 id="history-title">History</h2>
        ${historyTable(history.tasks)} ${pageLinks(address, history)}
      </section>
      <section aria-labelledby="definition-title" data-key="definition">
        <h2 id="definition-title">Definition</h2>
        ${computation.description === '' ? '' : html`<p>${computation.description}</p>`}
        <pre><code>${computation.definition_query}</code></pre>
        <p class="soft small">
          Key <code>${computation.key}</code>, over ${computation.definition_type}, version
          ${computation.definition_version}
        </p>
        <p class="soft small">${guardWords(computation)}</p>
      </section>`,
  });
}

/** What people can do: what the API would refuse is not offered. */
function actions(computation: ComputationView, overview: Overview): Markup {
  const address = `/computations/${computation.id}`;
  const active = computation.enabled && computation.paused_at === null;
  const runOpen = overview.runs.some((task) => task.endedAt === null);
  return html`<div class="row actions" role="group" aria-label="Actions" data-key="actions">
    ${computation.enabled ? '' : button({ action: `${address}/enable`, label: 'Enable', main: true })}
    ${
      computation.paused_at === null
        ? button({ action: `${address}/pause`, label: 'Pause' })
        : button({ action: `${address}/resume`, label: 'Resume', main: true })
    }
    ${active && !runOpen ? button({ action: `${address}/runs`, label: 'Run now' }) : ''}
    ${
      active && computation.live_version !== null && computation.connections.length > 0
        ? confirmButton(
            { action: `${address}/resync`, label: 'Resync all …' },
            {
              sentence: `Sends all ${number(computation.live_size)} ${computation.kind === 'audience' ? 'members' : 'values'} again, to every destination, whatever these have acknowledged: for a tool that lost what it was sent.`,
              confirm: 'Send everything again',
            },
          )
        : ''
    }
    ${computation.connections.map((connection) =>
      connection.suspended_at === null
        ? ''
        : button({
            action: `${address}/destinations/${connection.destination_id}/resume`,
            label: `Resume syncs to ${connection.destination_name}`,
          }),
    )}
  </div>`;
}

/** Why nothing happens, where nothing does. */
function heldBack({ enabled, paused_at: paused, disabled_reason: reason }: ComputationView): Markup | string {
  if (!enabled) {
    // Where the system did it, what needs people says why.
    return reason === null
      ? html`<p class="note" data-key="held">Disabled by a person: nothing runs until someone enables it.</p>`
      : '';
  }
  if (paused === null) return '';
  return html`<p class="note" data-key="held">
    Paused since ${moment(paused)}. Its tasks keep what they have done, and it has no new ones. Events keep coming in;
    once it is resumed it catches up.
  </p>`;
}

function pageLinks(address: string, { older, newer }: ComputationPageInput['history']): Markup | string {
  if (older === undefined && newer === undefined) return '';
  return html`<nav class="row small" aria-label="Pages of the history">
    ${newer === undefined ? '' : html`<a href="${address}?history=${newer}" rel="prev">Newer</a>`}
    ${older === undefined ? '' : html`<a href="${address}?history=${older}" rel="next">Older</a>`}
  </nav>`;
}

function guardWords({ kind, guard_share: share, guard_min_members: members }: ComputationView): string {
  const audience = kind === 'audience';
  if (share === null) {
    return `No guard: a run commits however many would ${audience ? 'leave' : 'lose their value'}.`;
  }
  const percent = (share * 100).toLocaleString('en-US', { maximumFractionDigits: 1 });
  return `Guarded: a run that would remove more than ${percent} % of more than ${number(members)} ${audience ? 'members' : 'values'} asks first.`;
}

/** `every 3 hours, next 2026-01-31 12:00:00`, or the cron expression with its time zone. */
function schedule(computation: ComputationView): Markup {
  const {
    enabled,
    paused_at: paused,
    schedule_interval_seconds: seconds,
    schedule_jitter_seconds: jitter,
    next_run_at: next,
  } = computation;
  const rhythm =
    seconds === null
      ? html`by cron <code>${computation.schedule_cron ?? ''}</code> in ${computation.schedule_time_zone ?? ''}`
      : html`every ${interval(seconds)}`;
  const every = jitter > 0 ? html`${rhythm}, up to ${inWords(jitter * 1_000)} after it` : rhythm;
  if (!enabled) return html`${every} while it is enabled`;
  if (paused !== null) return html`${every} once it is resumed`;
  return next.getTime() <= Date.now() ? html`${every}, due now` : html`${every}, next ${moment(next)}`;
}

// The largest unit that it is a whole number of.
function interval(seconds: number): string {
  const units = [
    [86_400, 'day'],
    [3_600, 'hour'],
    [60, 'minute'],
    [1, 'second'],
  ] as const;
  const [size, unit] = units.find(([each]) => seconds % each === 0) ?? [1, 'second'];
  const count = seconds / size;
  return count === 1 ? unit : `${count} ${unit}s`;
}
