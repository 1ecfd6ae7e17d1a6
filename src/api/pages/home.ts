import { html } from 'hono/html';
import type { Principal } from '../../access/index.ts';
import type { AlertResponse, AlertSettings } from '../../alerts/index.ts';
import type { AuditEventResponse } from '../../audit/index.ts';
import { computationStatusLabel, type ComputationView } from '../../computations/index.ts';
import type { TaskView } from '../../tasks/index.ts';
import { alertList } from './alerts.ts';
import { needsYou } from './parts/needs-you.ts';
import { badge, layout, moment, number, type Markup, type Tone } from './parts/layout.ts';
import { taskList } from './tasks.ts';

/** The trail, or the reason why this reader may not see it. */
export type Trail = { events: AuditEventResponse[] } | { refusal: string };

export interface HomeInput {
  principal: Principal;
  workspaceName: string;
  computations: ComputationView[];
  tasks: TaskView[];
  /** The hard failures of these computations that stand. */
  failures: TaskView[];
  /** Runs that wait for approval. */
  awaiting: TaskView[];
  alerts: AlertResponse[];
  settings: AlertSettings;
  trail: Trail;
}

/** The page at /: computations with status and size, their latest runs and syncs, alerts with their decision, and the trail. */
export function homePage(input: HomeInput): Markup {
  return layout({
    title: input.workspaceName,
    signedIn: input,
    live: '/',
    body: html`<h1>${input.workspaceName}</h1>
      ${
        input.settings.reducedNotifications
          ? html`<p class="note" data-key="reduced">
              Reduced notifications are
              on${input.settings.expiresAt === null ? '' : html` until ${moment(input.settings.expiresAt)}`}: alerts
              about failures that are tried again wait for the outcome.
              ${input.settings.reason === null ? '' : `Reason: ${input.settings.reason}`}
            </p>`
          : ''
      }
      ${needsYou({ computations: input.computations, tasks: [...input.awaiting, ...wanted(input)] }, { withName: true })}
      ${computationsSection(
        'Audiences',
        input.computations.filter((view) => view.kind === 'audience'),
        input.failures,
      )}
      ${computationsSection(
        'Computed traits',
        input.computations.filter((view) => view.kind === 'computed_trait'),
        input.failures,
      )}
      <div class="columns" data-key="columns">
        <section aria-labelledby="alerts-title">
          <h2 id="alerts-title">Alerts</h2>
          ${alertList(input.alerts)}
        </section>
        <section aria-labelledby="tasks-title">
          <h2 id="tasks-title">Runs and syncs</h2>
          ${taskList(input.tasks, { withName: true })}
        </section>
      </div>
      ${trailSection(input.trail)}`,
  });
}

// What is switched off is nobody's task, however it failed last.
function wanted({ computations, failures }: HomeInput): TaskView[] {
  const enabled = new Set<string>();
  for (const view of computations) {
    if (!view.enabled) continue;
    enabled.add(view.id);
    for (const connection of view.connections) if (connection.enabled) enabled.add(connection.id);
  }
  return failures.filter(
    (task) =>
      enabled.has(task.computation.id) && (task.destination === null || enabled.has(task.destination.connectionId)),
  );
}

const STATUS_TONES: Record<ReturnType<typeof computationStatusLabel>, Tone> = {
  Disabled: 'idle',
  Failed: 'bad',
  Preparing: 'wait',
  Backfilling: 'wait',
  Computing: 'wait',
  'Awaiting Destinations': 'wait',
  'Awaiting Approval': 'bad',
  Paused: 'idle',
  Live: 'good',
};

export function statusBadge(view: ComputationView): Markup {
  const label = computationStatusLabel(view);
  return badge(label, STATUS_TONES[label]);
}

function computationsSection(title: string, views: ComputationView[], failures: TaskView[]): Markup {
  const failed = new Set(failures.map((task) => task.destination?.connectionId));
  const id = title.toLowerCase().replaceAll(' ', '-');
  return html`<section aria-labelledby="${id}-title" data-key="${id}">
    <h2 id="${id}-title">${title}</h2>
    ${
      views.length === 0
        ? html`<p class="soft">None yet.</p>`
        : html`<table class="cards computations">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Status</th>
                <th scope="col" class="number">Size</th>
                <th scope="col">Destinations</th>
                <th scope="col">Computed as of</th>
              </tr>
            </thead>
            <tbody>
              ${views.map(
                (view) =>
                  html`<tr data-key="${view.id}">
                    <td class="title">
                      <a href="/computations/${view.id}">${view.name}</a> <code class="soft">${view.key}</code>
                    </td>
                    <td data-label="Status">${statusBadge(view)}</td>
                    <td data-label="Size" class="number">${number(view.live_size)}</td>
                    <td data-label="Destinations">${destinations(view, failed)}</td>
                    <td data-label="Computed as of">${view.live_as_of === null ? '–' : moment(view.live_as_of)}</td>
                  </tr>`,
              )}
            </tbody>
          </table>`
    }
  </section>`;
}

function destinations(view: ComputationView, failed: Set<string | undefined>): Markup | string {
  if (view.connections.length === 0) return '–';
  return html`<span
    >${view.connections.map((connection, index) => {
      const inStep =
        view.live_version !== null &&
        connection.synced_version !== null &&
        connection.synced_version >= view.live_version;
      const state = !connection.enabled
        ? html`<span class="soft small">switched off</span>`
        : connection.suspended_at !== null
          ? badge('suspended', 'bad')
          : failed.has(connection.id)
            ? badge('sync failed', 'bad')
            : html`<span class="soft small">${inStep ? 'in step' : 'behind'}</span>`;
      return html`${index === 0 ? '' : ', '}${connection.destination_name} ${state}`;
    })}</span
  >`;
}

function trailSection(trail: Trail): Markup {
  return html`<section aria-labelledby="trail-title" data-key="trail">
    <h2 id="trail-title">Audit trail</h2>
    ${'refusal' in trail ? html`<p class="soft">${trail.refusal}</p>` : trailTable(trail.events)}
  </section>`;
}

function trailTable(events: AuditEventResponse[]): Markup {
  return html`<table class="cards trail">
    <thead>
      <tr>
        <th scope="col">When</th>
        <th scope="col">Event</th>
        <th scope="col">Resource</th>
        <th scope="col">Actor</th>
      </tr>
    </thead>
    <tbody>
      ${events.map(
        (event) =>
          html`<tr data-key="${event.id}">
            <td>${moment(event.timestamp)}</td>
            <td class="title">
              ${event.type} ${event.outcome === 'failure' ? badge('failure', 'bad') : ''}
              ${event.attempt === null ? '' : html`<div class="soft small">${attemptOf(event)}</div>`}
            </td>
            <td>${event.resourceName} <span class="soft small">${event.resourceType.replaceAll('_', ' ')}</span></td>
            <td>${event.actorName}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function attemptOf(event: AuditEventResponse): string {
  const { maxAttempts, step, code, class: failureClass } = event.details;
  const of = typeof maxAttempts === 'number' ? ` of ${maxAttempts}` : '';
  const more = [step, code, failureClass].filter((part) => typeof part === 'string').join(' · ');
  return `attempt ${event.attempt ?? ''}${of}${more === '' ? '' : ` · ${more}`}`;
}
