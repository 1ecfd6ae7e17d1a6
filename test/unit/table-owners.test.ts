import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WRITES = /\b(?:insert\s+into|update|delete\s+from|truncate|copy)\s+(?:table\s+|only\s+)?([a-z_]+)\b/gi;

/** The one folder of src that writes a table, in PostgreSQL or ClickHouse. Others ask it. */
const OWNERS: Record<string, readonly string[]> = {
  access: [
    'access_tokens',
    'sessions',
    'sign_in_limits',
    'spaces',
    'support_entries',
    'users',
    'workspace_members',
    'workspace_settings',
    'workspaces',
  ],
  alerts: ['alert_deliveries', 'alerts', 'channels'],
  audit: ['audit_events'],
  computations: ['computations'],
  compute: [
    'audience_versions',
    'baseline_bitmaps',
    'baselines',
    'extract_people',
    'extract_profiles',
    'sync_changes',
    'trait_versions',
  ],
  connections: ['connections'],
  destinations: ['destination_circuits', 'destinations', 'subscriptions'],
  health: ['health_marks'],
  pipeline: [
    'account_traits',
    'accounts',
    'consumers',
    'event_log',
    'event_quarantine',
    'event_warnings',
    'events',
    'external_ids',
    'log_restores',
    'profile_traits',
    'profiles',
    'sources',
    'space_blocked_ids',
    'space_counters',
    'space_sources',
    'write_keys',
  ],
  store: ['schema_migrations'],
  tasks: ['attempts', 'rejected_rows', 'settled_ranges', 'step_executions', 'steps', 'tasks'],
};

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

/** Every table that a migration makes and none takes away, of both databases. */
function tables(): Set<string> {
  const made = new Set<string>();
  for (const name of readdirSync(join(ROOT, 'migrations'), { recursive: true, encoding: 'utf8' }).sort()) {
    if (!name.endsWith('.sql')) continue;
    const text = readFileSync(join(ROOT, 'migrations', name), 'utf8');
    const statements = text.matchAll(/\b(create|drop)\s+table\s+(?:if\s+(?:not\s+)?exists\s+)?([a-z_]+)/gi);
    for (const [, what, table = ''] of statements) {
      if (what?.toLowerCase() === 'create') made.add(table);
      else made.delete(table);
    }
  }
  return made;
}

test('each table is written by one folder', () => {
  const known = tables();
  const written = new Map<string, Set<string>>();
  for (const file of [...sources('src'), ...sources('activities'), ...sources('workflows')]) {
    const [root = '', folder = ''] = file.split('/');
    for (const [, table = ''] of readFileSync(join(ROOT, file), 'utf8').matchAll(WRITES)) {
      const name = table.toLowerCase();
      if (!known.has(name)) continue;
      written.set(name, (written.get(name) ?? new Set()).add(root === 'src' ? folder : root));
    }
  }
  const found = Object.fromEntries([...written].map(([table, folders]) => [table, [...folders].sort()]));
  const owned = Object.fromEntries(
    Object.entries(OWNERS).flatMap(([folder, names]) => names.map((table) => [table, [folder]])),
  );
  // A table that is missing here has an owner that this test does not know yet.
  for (const [table, folders] of Object.entries(found)) expect({ [table]: folders }).toEqual({ [table]: owned[table] });
  expect(Object.keys(found).length).toBeGreaterThan(30);
});
