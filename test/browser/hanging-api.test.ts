import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addMember, createUser } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createApiWorld, type ApiWorld } from '../api/api-world.ts';
import { serve, type Served } from '../helpers/serve.ts';
import { launchBrowser, openWindow } from './browser.ts';

const PASSWORD = 'correct horse battery staple';

let api: ApiWorld;
let server: Served;
let browser: Browser;
// Takes every request, and answers none, as a process does that was stopped.
let hanging = false;

beforeAll(async () => {
  browser = await launchBrowser();
  api = await createApiWorld({ publicUrl: 'http://127.0.0.1' });
  await inTransaction(api.pool, async (tx) => {
    const user = await createUser(tx, { email: 'owner@example.com', name: 'Olivia', password: PASSWORD });
    const { workspaceId } = api.ours;
    await addMember(tx, { workspaceId, userId: user.id, role: 'workspace_owner', actor: SYSTEM_ACTOR });
  });
  server = await serve(async (request, env) => {
    if (hanging) await new Promise(() => undefined);
    return await api.app.fetch(request, env);
  });
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  await api?.close();
});

it('a page whose server hangs says that it is old, and how old, and is up to date again after that', async () => {
  const { page, context } = await openWindow(browser);
  await page.goto(`${server.address}/sign-in`);
  await page.getByLabel('Email').fill('owner@example.com');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  const status = page.getByRole('status');
  const age = page.locator('[data-live-age]');
  await status.filter({ hasText: 'Up to date' }).waitFor();
  expect(await age.innerText()).toBe('');

  hanging = true;
  await status.filter({ hasText: 'Not connected: what you see may be old' }).waitFor({ timeout: 15_000 });
  expect(await age.innerText()).toMatch(/^as it was \d+ s ago$/);
  const first = Number(/\d+/.exec(await age.innerText())?.[0]);
  await page.waitForTimeout(2_500);
  expect(Number(/\d+/.exec(await age.innerText())?.[0])).toBeGreaterThan(first);
  expect(await status.innerText()).toBe('Not connected: what you see may be old');

  hanging = false;
  await status.filter({ hasText: 'Up to date' }).waitFor({ timeout: 15_000 });
  expect(await age.innerText()).toBe('');
  await context.close();
});
