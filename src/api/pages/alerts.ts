import { html } from 'hono/html';
import type { AlertResponse } from '../../alerts/index.ts';
import { badge, moment, type Markup, type Tone } from './layout.ts';

/** Alerts, newest first: what was decided then, and what is true now. */
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
    <div class="row">
      ${badge(alert.decision, toneOf(alert, now))}
      <strong>${title}</strong>
      <span class="push">${moment(alert.createdAt)}</span>
    </div>
    <div class="small">${now?.sentence ?? alert.body}</div>
    <div class="soft small">Rule: <code>${alert.rule}</code></div>
  </li>`;
}

interface AlertNow {
  sentence: string;
  /** Who it waits for. */
  waitsFor: 'people' | 'the system' | 'nobody';
}

const TONES: Record<AlertNow['waitsFor'], Tone> = { people: 'bad', 'the system': 'wait', nobody: 'good' };

// The colour says whether somebody has to act now, and not how bad it looked then.
function toneOf(alert: AlertResponse, now: AlertNow | null): Tone {
  return alert.kind === 'recovery' || alert.kind === 'notice' || now === null ? 'idle' : TONES[now.waitsFor];
}

// null where the alert is about no task, and its own words are all there is.
function alertNow({ now, taskId }: AlertResponse): AlertNow | null {
  if (now === null) return null;
  const of = `${now.attempts} of ${now.maxAttempts}`;
  if (now.recoveredAt !== null) {
    return { sentence: `Recovered at attempt ${of}. Nobody has to act.`, waitsFor: 'nobody' };
  }
  if (now.latestTaskId !== taskId && now.latestTaskStatus === 'succeeded') {
    return { sentence: 'A later one succeeded since. Nobody has to act.', waitsFor: 'nobody' };
  }
  switch (now.taskStatus) {
    case 'failed':
      return { sentence: `A hard failure at attempt ${of}: it is not tried any more.`, waitsFor: 'people' };
    case 'backing_off':
      return { sentence: `Attempt ${of} failed; it is tried again.`, waitsFor: 'the system' };
    case 'running':
    case 'pending':
      return { sentence: `Attempt ${of} is under way.`, waitsFor: 'the system' };
    default:
      return { sentence: `Its task is ${now.taskStatus} now.`, waitsFor: 'nobody' };
  }
}
