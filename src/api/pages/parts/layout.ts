import { createHash } from 'node:crypto';
import { html } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import type { Principal } from '../../../access/index.ts';
import { LIVE_SCRIPT } from './live-script.ts';
import { STYLE } from './style.ts';

export type Markup = HtmlEscapedString | Promise<HtmlEscapedString>;

// The address of an asset changes with its content, so that browsers may keep it for good.
const assetPath = (name: string, content: string): string =>
  `/assets/${createHash('sha256').update(content).digest('hex').slice(0, 12)}/${name}`;

export const ASSETS = [
  { path: assetPath('page.css', STYLE), content: STYLE, type: 'text/css; charset=utf-8' },
  { path: assetPath('page.js', LIVE_SCRIPT), content: LIVE_SCRIPT, type: 'text/javascript; charset=utf-8' },
] as const;

const ROLE_NAMES = { workspace_owner: 'Workspace Owner', workspace_member: 'Workspace Member', support: 'Support' };

/**
 * A whole page. With `live`, its script asks that address for the page every two seconds and swaps in what changed; `problem` is
 * why what was asked for was not done, and stands outside of that part, so that it stays until the page is left.
 */
export function layout(page: {
  title: string;
  body: Markup;
  signedIn?: { principal: Principal; workspaceName: string };
  live?: string;
  problem?: string | undefined;
}): Markup {
  const { principal, workspaceName } = page.signedIn ?? {};
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${page.title} · Trailmark</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="${ASSETS[0].path}" />
        ${page.live === undefined ? '' : html`<script src="${ASSETS[1].path}" defer></script>`}
      </head>
      <body>
        <a class="skip" href="#main">To the content</a>
        <header class="top">
          <div>
            <a class="brand" href="/">Trailmark</a>
            ${principal === undefined ? '' : html`<span>${workspaceName}</span>`}
            ${
              page.live === undefined
                ? ''
                : html`<span class="badge" role="status" data-live-state>As loaded</span
                    ><span class="soft small" data-live-age></span>`
            }
            <nav aria-label="Site">
              <a href="/docs">API</a>
              ${
                principal === undefined
                  ? ''
                  : html`<span class="soft small">${principal.actor.name} · ${ROLE_NAMES[principal.role]}</span>
                      <form class="inline" method="post" action="/sign-out"><button>Sign out</button></form>`
              }
            </nav>
          </div>
        </header>
        ${page.problem === undefined ? '' : html`<p class="note bad refused" role="alert">${page.problem}</p>`}
        <main id="main" ${page.live === undefined ? '' : html`data-live="${page.live}"`}>${page.body}</main>
        ${principal === undefined ? '' : html`<footer class="soft small">All times are UTC.</footer>`}
      </body>
    </html>`;
}

/** A moment, in UTC, to the second. */
export function moment(time: Date | string): Markup {
  const date = new Date(time);
  const iso = date.toISOString();
  return html`<time datetime="${iso}" title="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)}</time>`;
}

export type Tone = 'good' | 'wait' | 'bad' | 'idle';

export function badge(text: string, tone: Tone): Markup {
  return html`<span class="badge ${tone}">${text}</span>`;
}

export function number(value: number | null): string {
  return value === null ? '–' : value.toLocaleString('en-US');
}

/** A cell of a table of cards with a count; where there is none, a narrow window leaves it out. */
export function countCell(label: string, value: number | null): Markup {
  return html`<td data-label="${label}" class="number${value === null ? ' none' : ''}">${number(value)}</td>`;
}
