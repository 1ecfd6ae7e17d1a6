import { html } from 'hono/html';
import type { Principal } from '../../access/index.ts';
import type { ComputationView } from '../../compute/index.ts';
import type { Overview } from '../../tasks/index.ts';
import { statusBadge } from './home.ts';
import { layout, moment, number, type Markup } from './layout.ts';
import { needsYou } from './needs-you.ts';
import { taskList } from './tasks.ts';

/** The overview of one computation: its status and size, the hard failures that stand, its runs and its syncs. */
export function computationPage(input: {
  principal: Principal;
  workspaceName: string;
  computation: ComputationView;
  overview: Overview;
}): Markup {
  const { computation, overview } = input;
  return layout({
    title: computation.name,
    signedIn: input,
    live: `/computations/${computation.id}`,
    body: html`<p class="small"><a href="/">${input.workspaceName}</a></p>
      <h1>${computation.name}</h1>
      <div class="row status" data-key="status">
        ${statusBadge(computation)}
        <span>${number(computation.live_size)} ${computation.kind === 'audience' ? 'members' : 'values'}</span>
        ${computation.live_as_of === null ? '' : html`<span class="soft small">as of ${moment(computation.live_as_of)}</span>`}
        <span class="soft small">${schedule(computation)}</span>
        ${
          input.principal.role === 'support'
            ? ''
            : html`<form class="inline push" method="post" action="/computations/${computation.id}/runs">
                <button>Run now</button>
              </form>`
        }
      </div>
      ${computation.enabled ? needsYou(overview.hardFailures, { withName: false }) : ''}
      <section aria-labelledby="definition-title" data-key="definition">
        <h2 id="definition-title">Definition</h2>
        ${computation.description === '' ? '' : html`<p>${computation.description}</p>`}
        <pre><code>${computation.definition_query}</code></pre>
        <p class="soft small">
          Key <code>${computation.key}</code>, over ${computation.definition_type}, version
          ${computation.definition_version}
        </p>
      </section>
      <div class="columns" data-key="columns">
        <section aria-labelledby="runs-title">
          <h2 id="runs-title">Runs</h2>
          ${taskList(overview.runs, { withName: false })}
        </section>
        <section aria-labelledby="syncs-title">
          <h2 id="syncs-title">Syncs</h2>
          ${taskList(overview.syncs, { withName: false })}
        </section>
      </div>`,
  });
}

function schedule(computation: ComputationView): Markup {
  const { enabled, paused_at: paused, schedule_interval_seconds: seconds, next_run_at: next } = computation;
  const every =
    seconds === null
      ? html`<code>${computation.schedule_cron ?? ''}</code> (${computation.schedule_time_zone ?? ''})`
      : html`every ${interval(seconds)}`;
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
