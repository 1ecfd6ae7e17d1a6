import { html } from 'hono/html';
import { layout, type Markup } from './layout.ts';

/** A page that says why there is nothing else to see. */
export function problemPage(message: string): Markup {
  return layout({
    title: 'Not here',
    body: html`<section>
      <h1>Not here</h1>
      <p>${message}</p>
      <p><a href="/">To the workspace</a></p>
    </section>`,
  });
}
