import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApiWorld, type ApiWorld } from './api-world.ts';
import { createEverything, type Everything } from './everything.ts';

interface Operation {
  security?: unknown[];
  requestBody?: { required?: boolean };
  parameters?: { name: string; in: string; schema: { minimum?: number; maximum?: number; default?: number } }[];
  responses: Record<string, unknown>;
}

let world: ApiWorld;
let everything: Everything;
let operations: { path: string; method: string; operation: Operation }[];

beforeAll(async () => {
  world = await createApiWorld();
  everything = await createEverything(world);
  const document = (await (await world.app.request('/openapi.json')).json()) as {
    paths: Record<string, Record<string, Operation>>;
  };
  operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
});
afterAll(async () => await world.close());

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'];
const targetOf = (path: string): string => path.replaceAll(/\{\w+\}/g, 'x');
const guarded = ({ operation }: { operation: Operation }): boolean =>
  JSON.stringify(operation.security ?? []).includes('accessToken');

describe('a path', () => {
  it('answers 405 with what it takes to any other method, and that to OPTIONS', async () => {
    for (const { path } of operations) {
      const target = targetOf(path);
      const options = await world.app.request(target, { method: 'OPTIONS' });
      expect([path, options.status]).toEqual([path, 204]);
      // A browser's page may be anywhere that sends events: there it is the preflight that is answered.
      if (path.startsWith('/v1/')) continue;
      const allow = (options.headers.get('allow') ?? '').split(', ');
      const documented = operations.flatMap((one) => (one.path === path ? [one.method] : []));
      expect(allow).toEqual(expect.arrayContaining([...documented, 'OPTIONS']));
      for (const method of METHODS.filter((one) => !allow.includes(one))) {
        const headers = { authorization: `Bearer ${world.ours.owner}` };
        const refused = await world.app.request(target, { method, headers });
        expect([method, path, refused.status]).toEqual([method, path, 405]);
        expect(refused.headers.get('allow')).toBe(allow.join(', '));
        if (method === 'HEAD') continue;
        const body = (await refused.json()) as { errors: { type: string; status: number }[] };
        expect(body.errors).toEqual([expect.objectContaining({ type: 'method_not_allowed', status: 405 })]);
      }
    }
  });

  it('that anyone may ask for says so to anyone, and any other to those who have signed in', async () => {
    for (const path of ['/healthz', '/docs', '/openapi.json', '/v1/track']) {
      expect([path, (await world.app.request(path, { method: 'DELETE' })).status]).toEqual([path, 405]);
    }
    expect((await world.app.request('/spaces', { method: 'PUT' })).status).toBe(401);
    expect((await world.app.request('/no/such/path', { method: 'OPTIONS' })).status).toBe(401);
    const token = world.ours.owner;
    const headers = { authorization: `Bearer ${token}` };
    expect((await world.app.request('/no/such/path', { method: 'PUT', headers })).status).toBe(404);
  });

  it('answers HEAD as GET, without the body', async () => {
    const headers = { authorization: `Bearer ${world.ours.owner}` };
    for (const path of ['/spaces', '/healthz', '/docs']) {
      const head = await world.app.request(path, { method: 'HEAD', headers });
      const get = await world.app.request(path, { headers });
      expect([path, head.status, await head.text()]).toEqual([path, 200, '']);
      expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'));
    }
  });
});

describe('a body of no bytes', () => {
  it('is no body, whatever type its headers say: clients set that always', async () => {
    let optional = 0;
    for (const { path, method, operation } of operations.filter(guarded)) {
      if (method === 'GET') continue;
      const answer = await world.app.request(targetOf(path), {
        method,
        headers: { authorization: `Bearer ${world.ours.owner}`, 'content-type': 'application/json' },
        body: '',
      });
      const { errors } = (await answer.json()) as { errors?: { type: string }[] };
      const missing = operation.requestBody?.required === true;
      if (operation.requestBody?.required === false) optional += 1;
      const type = errors?.[0]?.type ?? '';
      const expected = missing ? 'body_missing' : expect.not.stringMatching(/body|invalid_request/);
      expect([method, path, type]).toEqual([method, path, expected]);
    }
    expect(optional).toBeGreaterThan(3);
  });
});

describe('a name that every object of JavaScript has', () => {
  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('names nothing here: %s', async (name) => {
    for (const { path, method, operation } of operations.filter(guarded)) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, one = '']) => one);
      for (const odd of names) {
        const trait = path.includes('/computed-traits/');
        const target = path.replaceAll(/\{(\w+)\}/g, (_, one: string) => {
          const id = trait && one === 'id' ? everything.ids['traitId'] : everything.ids[one];
          return one === odd ? name : (id ?? 'none');
        });
        const body = everything.bodies[`${method} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`];
        const answer = await world.send(method, target, {
          token: world.ours.owner,
          ...(operation.requestBody === undefined ? {} : { body: body ?? {} }),
        });
        expect([method, target, answer.status]).toEqual([method, target, 404]);
      }
      if (method !== 'GET') continue;
      for (const { name: parameter, in: place } of operation.parameters ?? []) {
        if (place !== 'query') continue;
        const target = `${targetOf(path)}?${encodeURIComponent(parameter)}=${name}`;
        const answer = await world.send('GET', target, { token: world.ours.owner });
        expect([target, answer.status]).toEqual([target, expect.toBeOneOf([200, 400, 404])]);
      }
    }
  });
});

describe('a parameter that a route does not have', () => {
  it('is refused by name on every route', async () => {
    for (const { path, method } of operations.filter(guarded)) {
      const answer = await world.send(method, `${targetOf(path)}?colour=red`, { token: world.ours.owner });
      expect([method, path, answer.status, answer.body.errors[0]?.field]).toEqual([method, path, 400, 'colour']);
      expect(answer.body.errors[0]?.type).toBe('unknown_parameter');
    }
    const message = (await world.send('GET', '/spaces?count=5', { token: world.ours.owner })).body.errors[0]?.message;
    expect(message).toContain('pagination[cursor], pagination[count]');
  });
});

describe('the document', () => {
  it('has the bounds that numbers have, and those are held', async () => {
    let tried = 0;
    for (const { path, method, operation } of operations) {
      for (const { name, schema } of operation.parameters ?? []) {
        if (name !== 'limit' && name !== 'pagination[count]') continue;
        tried += 1;
        const { minimum, maximum } = schema;
        expect([path, name, minimum, schema.default]).toEqual([path, name, 1, expect.any(Number)]);
        for (const wrong of [(minimum ?? 0) - 1, (maximum ?? 0) + 1, 1.5, 'ten', '']) {
          const query = `${encodeURIComponent(name)}=${wrong}`;
          const answer = await world.send(method, `${targetOf(path)}?${query}`, { token: world.ours.owner });
          expect([path, wrong, answer.status, answer.body.errors[0]?.field]).toEqual([path, wrong, 400, name]);
        }
        const most = `${encodeURIComponent(name)}=${maximum}`;
        const answer = await world.send(method, `${targetOf(path)}?${most}`, { token: world.ours.owner });
        expect([path, answer.status]).toEqual([path, expect.toBeOneOf([200, 404])]);
      }
    }
    expect(tried).toBeGreaterThan(15);
  });

  it('has what any route may refuse for, whatever the route says of itself', () => {
    for (const { path, method, operation } of operations.filter(guarded)) {
      const statuses = Object.keys(operation.responses);
      const needed = ['400', '401', '403', '429', '503'];
      if (path.includes('{')) needed.push('404');
      if (method !== 'GET') needed.push('413');
      if (operation.requestBody !== undefined) needed.push('415');
      expect([method, path, statuses]).toEqual([method, path, expect.arrayContaining(needed)]);
    }
  });

  it('says truly which bodies are required', async () => {
    for (const { path, method, operation } of operations.filter(guarded)) {
      const answer = await world.send(method, targetOf(path), { token: world.ours.owner });
      const missing = answer.body.errors?.[0]?.type === 'body_missing';
      expect([method, path, missing]).toEqual([method, path, operation.requestBody?.required === true]);
      if (operation.requestBody === undefined) continue;
      for (const headers of [{ 'content-type': 'text/plain' }, { 'content-type': '' }] as Record<string, string>[]) {
        const other = await world.send(method, targetOf(path), { token: world.ours.owner, body: {}, headers });
        expect([method, path, other.status]).toEqual([method, path, 415]);
      }
    }
  });
});
