import { html } from 'hono/html';
import { layout, type Markup } from './parts/layout.ts';

/** A page that says why there is nothing else to see, and how to go on. */
export function problemPage(input: { message: string; asksWorkspace: boolean }): Markup {
  return layout({
    title: 'Not here',
    body: html`<section class="sign-in">
      <h1>Not here</h1>
      <p>${input.message}</p>
      ${
        input.asksWorkspace
          ? html`<form method="get" action="/">
              <label for="workspace">Workspace, by its id or slug</label>
              <input id="workspace" name="workspace" autocomplete="off" required />
              <button class="main">Enter</button>
            </form>`
          : html`<p><a href="/">To the workspace</a></p>`
      }
      <form method="post" action="/sign-out"><button>Sign out</button></form>
    </section>`,
  });
}
