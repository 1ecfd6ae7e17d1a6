import { html } from 'hono/html';
import type { Markup } from './layout.ts';

interface Button {
  /** Where it is posted to: a page's own address, which calls the API. */
  action: string;
  label: string;
  /** The one that most people want. */
  main?: boolean;
}

/** A button that does what it says at once. */
export function button({ action, label, main = false }: Button): Markup {
  return html`<form class="inline" method="post" action="${action}" data-key="${action}">
    <button ${main ? html`class="main"` : ''}>${label}</button>
  </form>`;
}

/** A button for what is not undone by another one: it opens to say what it does, and asks. `fields` go with the form. */
export function confirmButton(
  { action, label }: Button,
  ask: { sentence: string; confirm: string; fields?: Markup },
): Markup {
  return html`<details class="ask" data-key="${action}">
    <summary>${label}</summary>
    <form method="post" action="${action}">
      <p>${ask.sentence}</p>
      ${ask.fields ?? ''}
      <button>${ask.confirm}</button>
    </form>
  </details>`;
}
