import { html } from 'hono/html';
import type { Principal } from '../../access/index.ts';
import type { AlertResponse, AlertSettings } from '../../alerts/index.ts';
import type { AuditEventResponse } from '../../audit/index.ts';
import { computationStatusLabel, type ComputationView } from '../../compute/index.ts';
import type { TaskView } from '../../tasks/index.ts';
import { alertList } from './alerts.ts';
import { badge, layout, moment, number, type Markup, type Tone } from './layout.ts';
import { taskList } from './tasks.ts';

/** The trail, or the reason why this reader may not see it. */
export type Trail = { events: AuditEventResponse[] } | { refusal: string };

export interface HomeInput {
  principal: Principal;
  workspaceName: string;
  computations: ComputationView[];
  tasks: TaskView[];
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
      ${computationsSection(
        'Audiences',
        input.computations.filter((view) => view.kind === 'audience'),
      )}
      ${computationsSection(
        'Computed traits',
        input.computations.filter((view) => view.kind === 'computed_trait'),
      )}
      <div class="columns" data-key="columns">
        <section aria-labelledby="tasks-title">
          <h2 id="tasks-title">Runs and syncs</h2>
          ${taskList(input.tasks, { withName: true })}
        </section>
        <section aria-labelledby="alerts-title">
          <h2 id="alerts-title">Alerts</h2>
          ${alertList(input.alerts)}
        </section>
      </div>
      ${trailSection(input.trail)}`,
  });
}

const STATUS_TONES: Record<ReturnType<typeof computationStatusLabel>, Tone> = {
  Disabled: 'idle',
  Failed: 'bad',
  Preparing: 'wait',
  Backfilling: 'wait',
  Computing: 'wait',
  'Awaiting Destinations': 'wait',
  Live: 'good',
};

export function statusBadge(view: ComputationView): Markup {
  const label = computationStatusLabel(view);
  return badge(label, STATUS_TONES[label]);
}

function computationsSection(title: string, views: ComputationView[]): Markup {
  const id = title.toLowerCase().replaceAll(' ', '-');
  return html`<section aria-labelledby="${id}-title" data-key="${id}">
    <h2 id="${id}-title">${title}</h2>
    ${
      views.length === 0
        ? html`<p class="soft">None yet.</p>`
        : html`<table class="cards">
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
                    <td data-label="Name">
                      <span
                        ><a href="/computations/${view.id}">${view.name}</a> <code class="soft">${view.key}</code></span
                      >
                    </td>
                    <td data-label="Status">${statusBadge(view)}</td>
                    <td data-label="Size" class="number">${number(view.live_size)}</td>
                    <td data-label="Destinations">${destinations(view)}</td>
                    <td data-label="Computed as of">${view.live_as_of === null ? '–' : moment(view.live_as_of)}</td>
                  </tr>`,
              )}
            </tbody>
          </table>`
    }
  </section>`;
}

function destinations(view: ComputationView): Markup | string {
  if (view.connections.length === 0) return '–';
  return html`<span
    >${view.connections.map((connection, index) => {
      const inStep =
        view.live_version !== null &&
        connection.synced_version !== null &&
        connection.synced_version >= view.live_version;
      const state = !connection.enabled ? 'switched off' : inStep ? 'in step' : 'behind';
      return html`${index === 0 ? '' : ', '}${connection.destination_name} <span class="soft small">${state}</span>`;
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
            <td data-label="When">${moment(event.timestamp)}</td>
            <td data-label="Event">
              <span>
                ${event.outcome === 'failure' ? badge('failure', 'bad') : ''} ${event.type}
                ${event.attempt === null ? '' : html`<span class="soft small">${attemptOf(event)}</span>`}
              </span>
            </td>
            <td data-label="Resource">
              <span
                >${event.resourceName} <span class="soft small">${event.resourceType.replaceAll('_', ' ')}</span></span
              >
            </td>
            <td data-label="Actor">${event.actorName}</td>
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
