import { readFile } from 'node:fs/promises';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addMember, createUser } from '../../src/access/index.ts';
import { SYSTEM_ACTOR } from '../../src/audit/index.ts';
import { inTransaction } from '../../src/store/index.ts';
import { createApiWorld, type ApiWorld } from '../api/api-world.ts';
import { addressOf } from '../helpers/engines.ts';
import { refuseUsers, startReceiver, type Receiver } from '../helpers/receiver.ts';
import { serve, type Served } from '../helpers/serve.ts';
import { startTestWorker, type TestWorker } from '../helpers/worker.ts';
import { addAudience, addPeople, connectWebhook, eventually, type World } from '../helpers/world.ts';
import { launchBrowser, openWindow, type Visit } from './browser.ts';

const PASSWORD = 'correct horse battery staple';
const PEOPLE = 150;
const EVERYBODY = "event('Visited').count() >= 1";

let browser: Browser;
let api: ApiWorld;
let server: Served;
let worker: TestWorker | undefined;
let receiver: Receiver;
let space: World;

beforeAll(async () => {
  browser = await launchBrowser();
  receiver = await startReceiver();
  api = await createApiWorld({
    publicUrl: 'http://127.0.0.1',
    startTask: async (taskId) => await worker?.start(taskId),
    wakeTask: async (taskId) => await worker?.wake(taskId),
  });
  server = await serve(api.app.fetch);
  space = { workspaceId: api.ours.workspaceId, spaceId: api.ours.spaceId, actor: SYSTEM_ACTOR };
  await inTransaction(api.pool, async (tx) => {
    const user = await createUser(tx, { email: 'owner@example.com', name: 'Olivia Owner', password: PASSWORD });
    await addMember(tx, {
      workspaceId: api.ours.workspaceId,
      userId: user.id,
      role: 'workspace_owner',
      actor: SYSTEM_ACTOR,
    });
  });
  await addPeople(api.deps.clickhouse, space, PEOPLE);
  worker = await startTestWorker({
    pool: api.pool,
    clickhouse: api.deps.clickhouse,
    temporalAddress: await addressOf('temporal'),
    taskQueue: 'control-pages',
  });
});
afterAll(async () => {
  await worker?.close();
  await server?.close();
  await receiver?.close();
  await browser?.close();
  await api?.close();
});

/** A connected audience that nothing was computed of, and its page. */
async function openAudience(key: string, batchSize: number): Promise<Visit & { computationId: string }> {
  const computationId = await addAudience(api.pool, space, EVERYBODY, { key });
  await connectWebhook(api.pool, space, computationId, receiver.url, batchSize);
  const visit = await openWindow(browser);
  await visit.page.goto(`${server.address}/`);
  await visit.page.getByLabel('Email').fill('owner@example.com');
  await visit.page.getByLabel('Password').fill(PASSWORD);
  await visit.page.getByRole('button', { name: 'Sign in' }).click();
  await visit.page.getByRole('link', { name: key }).first().click();
  await visit.page.getByRole('heading', { level: 1, name: key }).waitFor();
  return { ...visit, computationId };
}

const button = (page: Page, name: string): Locator => page.getByRole('button', { name, exact: true });
const latest = (page: Page, name: 'Runs' | 'Syncs'): Locator =>
  page.getByRole('region', { name, exact: true }).locator('li[data-key^="tsk_"]').first();

/** Presses a button as who has no mouse. */
async function press(page: Page, name: string): Promise<void> {
  await button(page, name).focus();
  await page.keyboard.press('Enter');
}

describe('a sync under way', () => {
  it('shows how far it is, stops when Pause is pressed, and goes on from there when Resume is', async () => {
    receiver.behave(() => ({ delayMs: 250 }));
    const { page, problems, context } = await openAudience('paused_by_button', 10);
    await press(page, 'Run now');
    const sync = latest(page, 'Syncs');
    const bar = sync.getByRole('progressbar', { name: 'Progress of deliver' });
    await bar.waitFor();
    await sync.getByText(/\d+ of 150 rows · [\d.,]+ rows\/s · about \d+ /).waitFor();
    const early = Number(await bar.getAttribute('value'));
    expect(Number(await bar.getAttribute('max'))).toBe(PEOPLE);

    await press(page, 'Pause');
    await button(page, 'Resume').waitFor();
    expect(await page.getByText('Paused since').first().isVisible()).toBe(true);
    await sync.getByText(/^Paused since .* it keeps what it has done/).waitFor();
    const sent = await settled(() => receiver.counts().requests);
    expect(sent).toBeGreaterThan(0);
    expect(sent * 5).toBeLessThan(PEOPLE);
    // What it has done stands still, and says neither a rate nor a time.
    await sync.getByText(/^\d+ of 150 rows$/).waitFor();
    expect(Number(await bar.getAttribute('value'))).toBeGreaterThanOrEqual(early);
    expect(await button(page, 'Run now').count()).toBe(0);

    receiver.behave(() => undefined);
    await press(page, 'Resume');
    await sync.getByText('Succeeded at the first attempt.').waitFor({ timeout: 30_000 });
    expect(receiver.counts()).toMatchObject({ messages: PEOPLE, distinctMessages: PEOPLE });
    expect(await button(page, 'Pause').isVisible()).toBe(true);

    const row = page.getByRole('region', { name: 'History' }).getByRole('row').filter({ hasText: 'Sync to Receiver' });
    expect(await row.innerText()).toMatch(/Succeeded.*\s1\s+150\s+150\s/s);
    await row.getByRole('link').click();
    const steps = page.getByRole('region', { name: 'Attempts and steps' });
    expect(await steps.getByRole('row').filter({ hasText: 'deliver' }).first().innerText()).toContain('Interrupted');
    expect(await steps.getByRole('row').filter({ hasText: 'deliver' }).last().innerText()).toContain('Done');
    expect(problems).toEqual([]);
    await context.close();
  });

  it('is cancelled with a reason, and retried from where it was', async () => {
    receiver.accepted.length = 0;
    receiver.behave(() => ({ delayMs: 250 }));
    const { page, problems, context } = await openAudience('cancelled_by_button', 10);
    await press(page, 'Run now');
    const sync = latest(page, 'Syncs');
    await sync.getByRole('progressbar').waitFor();
    await sync.getByRole('link', { name: 'Sync to Receiver' }).click();
    await page.getByText('Cancel …').focus();
    await page.keyboard.press('Enter');
    await page.getByLabel(/^Why/).fill('The wrong list');
    // The page keeps what is being filled in, however often it changes below.
    await page.waitForResponse((response) => response.url().includes('/tasks/'));
    await page.waitForResponse((response) => response.url().includes('/tasks/'));
    expect(await page.getByLabel(/^Why/).inputValue()).toBe('The wrong list');
    await button(page, 'Cancel this sync').click();
    await page.getByText('Cancelled before its outcome, because someone asked for it.').waitFor();
    await settled(() => receiver.counts().requests);
    const before = receiver.counts().distinctMessages;
    expect(before).toBeLessThan(PEOPLE);

    receiver.behave(() => undefined);
    await button(page, 'Retry').click();
    await page.waitForURL(/\/computations\//);
    await latest(page, 'Syncs').getByText('Succeeded at the first attempt.').waitFor({ timeout: 30_000 });
    expect(receiver.counts()).toMatchObject({ distinctMessages: PEOPLE });
    expect(problems).toEqual([]);
    await context.close();
  });
});

describe('a sync with rejected rows', () => {
  it('says why, gives them away as CSV, and sends them again, alone', async () => {
    receiver.accepted.length = 0;
    receiver.behave(refuseUsers(['user-3', 'user-77'], { status: 400, body: 'no such person' }));
    const { page, problems, context } = await openAudience('rejected_rows', 100);
    await press(page, 'Run now');
    const sync = latest(page, 'Syncs');
    await sync.getByText('Succeeded at the first attempt.').waitFor({ timeout: 30_000 });
    await sync.getByRole('link', { name: 'Sync to Receiver' }).click();
    const rejected = page.getByRole('region', { name: 'Rejected rows' });
    expect(await rejected.innerText()).toMatch(/refused 2 rows for good\..*2 × 400:.*no such person/s);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      rejected.getByRole('link', { name: 'All of them as CSV' }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^rejected-rows-rejected_rows-tsk_\w+\.csv$/);
    const file = await readFile(await download.path(), 'utf8');
    expect(file.split('\r\n').map((line) => line.split(',')[0])).toEqual(['user_id', 'user-3', 'user-77', '']);

    receiver.behave(() => undefined);
    receiver.requests.length = 0;
    await button(page, 'Send the rejected rows again').click();
    await page.waitForURL(/\/computations\//);
    await eventually(
      async () => {
        const users = receiver.requests.flatMap(({ messages }) => messages.map(({ userId }) => userId));
        return (await Promise.resolve(users.length === 2)) ? users : null;
      },
      { what: 'the rejected rows', timeoutMs: 30_000 },
    ).then((users) => expect(new Set(users)).toEqual(new Set(['user-3', 'user-77'])));
    await latest(page, 'Syncs').getByText('Succeeded at the first attempt.').waitFor();
    expect(problems).toEqual([]);
    await context.close();
  });
});

describe('a run that would remove many', () => {
  it('shows who would leave, and removes them when it is approved', async () => {
    receiver.behave(() => undefined);
    const { page, problems, context, computationId } = await openAudience('guarded', 100);
    await press(page, 'Run now');
    await latest(page, 'Runs').getByText('Succeeded at the first attempt.').waitFor({ timeout: 30_000 });
    await latest(page, 'Syncs').getByText('Succeeded at the first attempt.').waitFor({ timeout: 30_000 });
    await api.pool.query(
      `update computations set definition_query = $2, definition_version = definition_version + 1 where id = $1`,
      [computationId, "event('Visited').where(property('n') <= 10).count() >= 1"],
    );
    await button(page, 'Run now').click();
    await page.getByRole('link', { name: 'See who would leave' }).click({ timeout: 30_000 });
    const leaving = page.getByRole('region', { name: 'Who would leave' });
    expect(await leaving.innerText()).toMatch(
      /Members now\s+150\s+Afterwards\s+10\s.*Would leave\s+140.*user-11, .* and 120 more/s,
    );
    await button(page, 'Approve: let them leave').click();
    await page.getByText('Succeeded at the first attempt.').first().waitFor({ timeout: 30_000 });
    expect(await leaving.count()).toBe(0);
    const { rows } = await api.pool.query('select live_size from computations where id = $1', [computationId]);
    expect(rows).toEqual([{ live_size: 10 }]);
    expect(problems).toEqual([]);
    await context.close();
  });
});

/** What a number is once it has stood still for a second. */
async function settled(read: () => number): Promise<number> {
  let [last, since] = [read(), Date.now()];
  return await eventually(
    async () => {
      const now = await Promise.resolve(read());
      if (now !== last) [last, since] = [now, Date.now()];
      return Date.now() - since > 1_000 ? last : null;
    },
    { what: 'standing still', timeoutMs: 20_000 },
  );
}
