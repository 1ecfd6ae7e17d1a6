/**
 * The script of the pages, served as a file so that the content security policy needs no inline script. It asks for the
 * page's main part every two seconds and changes only the nodes that differ: nothing flickers, what is open or has the
 * focus stays so. Without it the page is whole, and as old as its loading. It says "Up to date" only of what it has asked for within the last
 * seconds: a server that hangs, a request that fails and a computer that has slept make the page old, and it says how old.
 */
export const LIVE_SCRIPT = `
'use strict';
(() => {
  const main = document.querySelector('[data-live]');
  const state = document.querySelector('[data-live-state]');
  if (!main) return;
  const age = document.querySelector('[data-live-age]');
  const pollMs = 2000;
  const timeoutMs = 8000;
  const oldAfterMs = 9000;
  let etag = '';
  let asOf = Date.now();
  let failed = false;
  let polling;

  function morph(from, to) {
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    for (const { name } of [...from.attributes]) {
      const openByHand = name === 'open' && from.localName === 'details';
      if (!to.hasAttribute(name) && !openByHand) from.removeAttribute(name);
    }
    const keyed = new Map();
    for (const child of from.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
    let at = from.firstChild;
    for (const want of [...to.childNodes]) {
      const key = want.dataset && want.dataset.key;
      const fits = at && at.nodeName === want.nodeName && !(at.dataset && at.dataset.key);
      const have = key ? keyed.get(key) : fits ? at : undefined;
      if (!have) {
        from.insertBefore(want, at);
        continue;
      }
      if (have === at) at = at.nextSibling;
      else from.insertBefore(have, at);
      if (have.nodeType === Node.ELEMENT_NODE) morph(have, want);
      else if (have.nodeValue !== want.nodeValue) have.nodeValue = want.nodeValue;
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  async function poll() {
    const headers = { accept: 'text/html' };
    if (etag) headers['if-none-match'] = etag;
    const askedAt = Date.now();
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await fetch(main.dataset.live, { headers, cache: 'no-store', redirect: 'manual', signal });
    if (response.type === 'opaqueredirect' || response.status === 401) return location.assign('/sign-in');
    if (response.status === 200) {
      const page = new DOMParser().parseFromString(await response.text(), 'text/html');
      const wanted = page.querySelector('[data-live]');
      if (wanted) morph(main, wanted);
      etag = response.headers.get('etag') || '';
    } else if (response.status !== 304) {
      throw new Error(String(response.status));
    }
    // What came is as old as the question at the most.
    asOf = askedAt;
  }

  // One at a time: an answer that comes late must not put an older page over a newer one.
  function pollOnce() {
    polling ??= poll()
      .then(() => (failed = false), () => (failed = true))
      .finally(() => {
        polling = undefined;
        tell();
      });
    return polling;
  }

  function tell() {
    const oldMs = Date.now() - asOf;
    const old = failed || oldMs > oldAfterMs;
    const text = old ? 'Not connected: what you see may be old' : 'Up to date';
    // Only where it changes, because it is read out; how old it is changes each second, and is not.
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle('bad', old);
    age.textContent = old ? 'as it was ' + duration(oldMs) + ' ago' : '';
  }

  function duration(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 120) return seconds + ' s';
    const minutes = Math.round(seconds / 60);
    return minutes < 120 ? minutes + ' min' : Math.round(minutes / 60) + ' h';
  }

  async function loop() {
    if (!document.hidden) await pollOnce();
    setTimeout(loop, pollMs);
  }
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    tell();
    pollOnce();
  });
  tell();
  setInterval(tell, 1000);
  setTimeout(loop, pollMs);
})();
`;
