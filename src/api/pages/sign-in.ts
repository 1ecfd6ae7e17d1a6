import { html } from 'hono/html';
import { layout, type Markup } from './parts/layout.ts';

/** The sign-in page; `problem` is what was wrong with the last try. */
export function signInPage(input: { problem?: string; email?: string }): Markup {
  return layout({
    title: 'Sign in',
    body: html`<section class="sign-in">
      <h1>Sign in</h1>
      ${input.problem === undefined ? '' : html`<p class="note bad" role="alert">${input.problem}</p>`}
      <form method="post" action="/sign-in">
        <label for="email">Email</label>
        <input
          id="email"
          name="email"
          type="email"
          autocomplete="username"
          required
          value="${input.email ?? ''}"
          autofocus
        />
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required />
        <button class="main">Sign in</button>
      </form>
    </section>`,
  });
}
