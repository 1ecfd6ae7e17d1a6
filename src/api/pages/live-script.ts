/**
 * The script of the pages, served as a file so that the content security policy needs no inline script. It asks for the
 * page's main part every two seconds and changes only the nodes that differ: nothing flickers, what is open or has the
 * focus stays so. Without it the page is whole, and as old as its loading.
 */
export const LIVE_SCRIPT = `
'use strict';
(() => {
  const main = document.querySelector('[data-live]');
  const state = document.querySelector('[data-live-state]');
  if (!main) return;
  const beatMs = 2000;
  let etag = '';

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

  async function beat() {
    const headers = { accept: 'text/html' };
    if (etag) headers['if-none-match'] = etag;
    const response = await fetch(main.dataset.live, { headers, cache: 'no-store', redirect: 'manual' });
    if (response.type === 'opaqueredirect' || response.status === 401) return location.assign('/sign-in');
    if (response.status === 200) {
      const page = new DOMParser().parseFromString(await response.text(), 'text/html');
      const wanted = page.querySelector('[data-live]');
      if (wanted) morph(main, wanted);
      etag = response.headers.get('etag') || '';
    } else if (response.status !== 304) {
      throw new Error(String(response.status));
    }
    state.textContent = 'Up to date';
  }

  async function loop() {
    if (!document.hidden) {
      try {
        await beat();
      } catch {
        state.textContent = 'Not connected: what you see may be old';
      }
    }
    setTimeout(loop, beatMs);
  }
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) beat().catch(() => {});
  });
  setTimeout(loop, beatMs);
})();
`;
