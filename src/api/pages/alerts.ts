import { html } from 'hono/html';
import type { AlertResponse } from '../../alerts/index.ts';
import { badge, moment, type Markup, type Tone } from './parts/layout.ts';

/** Alerts, newest first: of each what was said and decided then, and beside it what is true now. */
export function alertList(alerts: AlertResponse[]): Markup {
  if (alerts.length === 0) return html`<p class="soft">None.</p>`;
  return html`<ol class="list">
    ${alerts.map(alertItem)}
  </ol>`;
}

function alertItem(alert: AlertResponse): Markup {
  const now = alertNow(alert);
  const title =
    alert.computationId === null
      ? alert.title
      : html`<a href="/computations/${alert.computationId}">${alert.title}</a>`;
  return html`<li data-key="${alert.id}">
    <dl class="then-now">
      <dt>Then</dt>
      <dd>
        <strong>${title}</strong>
        <div class="soft small">${moment(alert.createdAt)} · ${alert.decision}: ${alert.rule}</div>
        ${now === null ? html`<div class="small lines">${alert.body}</div>` : ''}
      </dd>
      ${
        now === null
          ? ''
          : html`<dt>Now</dt>
              <dd data-now>${badge(now.label, now.tone)} <span class="small">${now.sentence}</span></dd>`
      }
    </dl>
  </li>`;
}

// The colour says whether somebody has to act now, and not how bad it looked then.
interface AlertNow {
  label: string;
  sentence: string;
  tone: Tone;
}

// null where the alert is about no task, and its own words are all there is.
function alertNow({ now, taskId }: AlertResponse): AlertNow | null {
  if (now === null) return null;
  const of = `attempt ${now.attempts} of ${now.maxAttempts}`;
  const later = now.latestTaskId === taskId ? null : now.latestTaskStatus;
  if (now.recoveredAt !== null) {
    return { label: 'Recovered', sentence: `By itself, at ${of}. Nobody has to act.`, tone: 'good' };
  }
  if (later === 'succeeded') {
    return { label: 'Resolved later', sentence: 'A later one succeeded. Nobody has to act.', tone: 'good' };
  }
  switch (now.taskStatus) {
    case 'failed':
      return {
        label: 'Hard failure',
        sentence: `Not tried any more after ${of}.${later === null ? '' : ` A later one: ${LATER[later] ?? later}.`}`,
        tone: 'bad',
      };
    case 'awaiting_approval':
      return { label: 'Awaiting approval', sentence: 'Somebody has to approve or discard it.', tone: 'bad' };
    case 'backing_off':
      return { label: 'Retrying', sentence: `After ${of} failed. Nobody has to act.`, tone: 'wait' };
    case 'running':
    case 'pending':
      return { label: 'Retrying', sentence: `Under way: ${of}.`, tone: 'wait' };
    case 'cancelled':
      return { label: 'Cancelled', sentence: 'Nobody needs its outcome.', tone: 'idle' };
    default:
      return { label: 'Succeeded', sentence: `At ${of}.`, tone: 'good' };
  }
}

const LATER: Record<string, string> = {
  pending: 'waits to begin',
  running: 'is under way',
  backing_off: 'is tried again',
  awaiting_approval: 'waits for approval',
  failed: 'failed for good too',
  cancelled: 'was cancelled',
};
