import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser, openWindow, type Visit } from './browser.ts';
import { createShopWorld, HOSTILE, PASSWORD, type ShopWorld } from './shop-world.ts';

let world: ShopWorld;
let browser: Browser;

beforeAll(async () => {
  browser = await launchBrowser();
  world = await createShopWorld();
});
afterAll(async () => {
  await browser?.close();
  await world?.close();
});

async function signIn(email: string, options: Parameters<typeof openWindow>[1] = {}): Promise<Visit> {
  const visit = await openWindow(browser, options);
  await visit.page.goto(`${world.address}/`);
  await fillIn(visit.page, email, PASSWORD);
  await visit.page.waitForURL(`${world.address}/`);
  return visit;
}

async function fillIn(page: Page, email: string, password: string): Promise<void> {
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

const section = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true });
const item = (page: Page, name: string, text: string): Locator =>
  section(page, name).locator('li[data-key], tr[data-key]').filter({ hasText: text });

describe('signing in', () => {
  it('says what is wrong, leads to the page, and ends with signing out', async () => {
    const { page, context } = await openWindow(browser);
    await page.goto(`${world.address}/`);
    expect(page.url()).toBe(`${world.address}/sign-in`);
    await fillIn(page, 'owner@example.com', 'wrong');
    await page.getByRole('alert').filter({ hasText: 'The email or the password is not right.' }).waitFor();
    expect(await page.getByLabel('Email').inputValue()).toBe('owner@example.com');
    await fillIn(page, 'owner@example.com', PASSWORD);
    await page.getByRole('heading', { level: 1, name: 'The ours' }).waitFor();
    const cookies = (await context.cookies()).map(({ name, httpOnly, sameSite }) => [name, httpOnly, sameSite]);
    expect(cookies.toSorted(([one], [other]) => String(one).localeCompare(String(other)))).toEqual([
      ['trailmark_device', true, 'Lax'],
      ['trailmark_session', true, 'Lax'],
    ]);

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL(`${world.address}/sign-in`);
    await page.goto(`${world.address}/`);
    expect(page.url()).toBe(`${world.address}/sign-in`);
    await context.close();
  });
});

describe('the page of an owner', () => {
  it('shows audiences with their status, runs and syncs with their attempts, and the trail', async () => {
    const { page, problems, context } = await signIn('owner@example.com');
    const newsletter = item(page, 'Audiences', 'newsletter');
    expect(await newsletter.innerText()).toMatch(/Awaiting Destinations\s+40\s+Receiver sync failed/);
    expect(await item(page, 'Audiences', 'hostile').innerText()).toContain('Preparing');
    expect(await item(page, 'Computed traits', 'visits').innerText()).toContain('Preparing');

    const sync = item(page, 'Runs and syncs', 'big_spenders · Sync to Receiver');
    expect(await sync.innerText()).toContain('attempt 1 of 6');
    await sync.getByText('Attempts').click();
    expect(await sync.innerText()).toMatch(/Attempt 1 of 6\s+at deliver\s+destination_unavailable/);
    expect(await item(page, 'Runs and syncs', 'newsletter · Run').innerText()).toContain('40 members');

    const failed = item(page, 'Audit trail', 'Audience Destination Sync Failed').filter({ hasText: 'big_spenders' });
    expect(await failed.innerText()).toMatch(
      /failure\s+attempt 1 of 6 · deliver · destination_unavailable · transient/,
    );
    expect(await item(page, 'Audit trail', 'Audience Destination Sync Hard Failure').count()).toBe(1);
    expect(problems).toEqual([]);
    await context.close();
  });

  it('says first what needs people, and what to do about it', async () => {
    const { page, context } = await signIn('owner@example.com');
    const needed = section(page, 'One thing needs you');
    expect(await needed.innerText()).toMatch(
      /newsletter · Sync to Receiver\s+Hard failure at deliver.*\s+What to do: Give the destination new credentials\./,
    );
    await needed.getByRole('link', { name: 'newsletter' }).click();
    await page.getByRole('heading', { level: 1, name: 'newsletter' }).waitFor();
    expect(await section(page, 'One thing needs you').innerText()).toContain('rejected the credentials');
    expect(await item(page, 'Syncs', 'Sync to Receiver').innerText()).toContain('Hard failure');
    await context.close();
  });

  it('shows beside an alert what is true now, and changes it live when the retry succeeds', async () => {
    const { page, problems, context } = await signIn('owner@example.com');
    const alert = item(page, 'Alerts', 'Audience "big_spenders": sync to Receiver failed, attempt 1 of 6');
    expect(await alert.innerText()).toMatch(/Then\s.*failed.*\s+.*sent: every failure is sent\s+Now\s+Retrying/);
    const audience = item(page, 'Audiences', 'big_spenders');
    expect(await audience.innerText()).toMatch(/Awaiting Destinations.*Receiver behind/s);
    // What is open stays open, and the page is never loaded again.
    await item(page, 'Runs and syncs', 'big_spenders · Sync').getByText('Attempts').click();
    await page.evaluate('globalThis.loadedOnce = true');

    world.crm.behave(() => undefined);
    await world.attempt(world.recoveringSync);

    await alert.locator('[data-now]').filter({ hasText: 'Recovered' }).waitFor();
    expect(await alert.innerText()).toMatch(
      /failed, attempt 1 of 6.*Now\s+Recovered\s+By itself, at attempt 2 of 6\. Nobody has to act\./s,
    );
    expect(await audience.innerText()).toMatch(/Live.*Receiver in step/s);
    const sync = item(page, 'Runs and syncs', 'big_spenders · Sync');
    expect(await sync.innerText()).toMatch(/Recovered.*30 delivered.*Attempt 1 of 6.*Attempt 2 of 6/s);
    expect(await item(page, 'Audit trail', 'Audience Destination Sync Recovered').count()).toBe(1);
    expect(await item(page, 'Alerts', 'sync to Receiver recovered').count()).toBe(1);
    // The other one still needs somebody: a recovery hides nothing of it.
    expect(await section(page, 'One thing needs you').innerText()).toContain('newsletter');
    expect(await page.evaluate('globalThis.loadedOnce')).toBe(true);
    expect(problems).toEqual([]);
    await context.close();
  });

  it('shows a hostile name as text', async () => {
    const { page, problems, context } = await signIn('owner@example.com');
    await page.getByRole('link', { name: HOSTILE }).click();
    const heading = page.getByRole('heading', { level: 1 });
    expect(await heading.innerText()).toBe(HOSTILE);
    // A round of the live script must not make markup of it either.
    await page.waitForResponse((response) => response.url().includes('/computations/'));
    expect(await heading.innerText()).toBe(HOSTILE);
    expect(await page.locator('img, script:not([src])').count()).toBe(0);
    expect(problems).toEqual([]);
    await context.close();
  });

  it('runs a computation when its button is pressed', async () => {
    const { page, problems, context } = await signIn('owner@example.com');
    await item(page, 'Computed traits', 'visits').getByRole('link').click();
    await page.getByRole('button', { name: 'Run now' }).click();
    await item(page, 'Runs', 'Waiting for its turn.').waitFor();
    expect(problems).toEqual([]);
    await context.close();
  });

  it.each([
    ['wide', 1280],
    ['narrow', 390],
  ])('fits a %s window, light and dark', async (_name, width) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, context } = await signIn('owner@example.com', { viewport: { width, height: 844 }, colorScheme });
      for (const path of [
        '/',
        `/computations/${world.audiences.broken}`,
        `/tasks/${world.recoveringSync}`,
        '/docs',
        '/sign-in',
      ]) {
        await page.goto(world.address + path);
        const over = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
        expect([path, over]).toEqual([path, 0]);
        // Text and ground are told apart: WCAG's contrast for body text.
        expect([path, await lowestContrast(page)]).toEqual([path, expect.toSatisfy((ratio: number) => ratio >= 4.5)]);
      }
      await context.close();
    }
  });

  it('says that it may be old once the server does not answer, and goes on when it does', async () => {
    const { page, context } = await signIn('owner@example.com');
    await context.setOffline(true);
    await page.getByRole('status').filter({ hasText: 'Not connected: what you see may be old' }).waitFor();
    await context.setOffline(false);
    await page.getByRole('status').filter({ hasText: 'Up to date' }).waitFor();
    await context.close();
  });
});

describe('the trail', () => {
  it.each([
    ['a member', 'member@example.com', 'The audit trail needs the role Workspace Owner, and you are Workspace Member.'],
    [
      'an owner on the team plan',
      'lead@example.com',
      'needs a workspace on the business plan, and this one is on the plan "team".',
    ],
  ])('is kept from %s, who sees why', async (_who, email, sentence) => {
    const { page, problems, context } = await signIn(email);
    expect(await section(page, 'Audit trail').innerText()).toContain(sentence);
    expect(await section(page, 'Audit trail').locator('tr').count()).toBe(0);
    expect(problems).toEqual([]);
    await context.close();
  });
});

/** The lowest contrast between a text and what is behind it, of everything that is shown. */
async function lowestContrast(page: Page): Promise<number> {
  return await page.evaluate<number>(`(() => {
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => {
      const [r, g, b] = channels(color).map((value) => {
        const part = value / 255;
        return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const groundOf = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const color = getComputedStyle(at).backgroundColor;
        if (channels(color)[3] !== 0) return color;
      }
      return 'rgb(255, 255, 255)';
    };
    let lowest = 21;
    for (const element of document.querySelectorAll('body *')) {
      const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.nodeValue.trim() !== '');
      if (!text || !element.checkVisibility()) continue;
      const [one, other] = [luminance(getComputedStyle(element).color), luminance(groundOf(element))];
      lowest = Math.min(lowest, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
    }
    return Math.round(lowest * 100) / 100;
  })()`);
}
