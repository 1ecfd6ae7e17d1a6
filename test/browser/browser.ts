import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const MISSING =
  'The page is tested in a real browser, and there is none: install Chromium (on Debian: apt-get install chromium), or set CHROMIUM_PATH to one.';

/** A page together with everything that went wrong in it. */
export interface Visit {
  page: Page;
  /** Errors on the console, exceptions, violations of the content security policy, dialogs, failed requests. */
  problems: string[];
  context: BrowserContext;
}

export async function launchBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: findChromium(),
    args: ['--headless', '--no-sandbox', '--disable-gpu'],
  });
}

/** A window of its own, with no cookie of another. */
export async function openWindow(browser: Browser, options: Parameters<Browser['newContext']>[0] = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('requestfailed', (request) => {
    // Leaving a page breaks off what its script has asked for.
    if (request.failure()?.errorText !== 'net::ERR_ABORTED') problems.push(`${request.url()} failed`);
  });
  page.on('dialog', (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return { page, problems, context };
}

function findChromium(): string {
  const named = process.env['CHROMIUM_PATH'];
  if (named !== undefined && named !== '') {
    if (existsSync(named)) return named;
    throw new Error(`CHROMIUM_PATH is ${named}, and there is no such file. ${MISSING}`);
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = [
    '/usr/bin/chromium',
    ...['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) => folders.map((folder) => join(folder, name))),
  ].find((path) => existsSync(path));
  if (found === undefined) throw new Error(MISSING);
  return found;
}
