import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { EVENT_TYPES, resolveEventType } from '../../src/audit/index.ts';

const AREAS = [
  'Sources',
  'Functions',
  'Warehouses',
  'Destinations',
  'Storage',
  'Consent Management',
  'Tracking Plans',
  'Destination Filters',
  'Transformations',
  'Audiences',
  'Computed Traits',
  'Engage Warehouse Sources',
  'Profiles Sync',
  'Spaces',
  'Users',
  'Journeys',
  'Broadcasts',
  'Workspace',
];

/** `prefix: a; b` is the two names `prefix a` and `prefix b`. */
function names(text: string): string[] {
  return text
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [prefix, rest] = line.includes(' :: ') ? line.split(' :: ') : ['', line];
      return (rest ?? '').split(';').map((name) => `${prefix} ${name.trim()}`.trim());
    });
}

// Every name that Segment has published: its docs pages, its forwarded events, its Public API, its alerts.
const PUBLISHED = names(`
User :: Invite Sent; Invite Deleted; Invite Accepted; Added via SSO; Removed; Group Created; Group Updated; Group Deleted
Source :: Created; Enabled; Disabled; Modified; Deleted; Settings Modified; Run Failed; Debugger Raw Viewed
Integrations :: Created; Enabled; Disabled; Modified; Deleted
Integration :: Created; Enabled; Disabled; Modified; Deleted
Destination :: Created; Enabled; Disabled; Modified; Deleted
Source Function :: Created; Deleted; Modified; Updated
Destination Function :: Created; Deleted; Modified
Destination Filters :: Created; Modified; Deleted
Destination Filter :: Created; Modified; Deleted; Enabled; Disabled
Warehouses :: Created; Enabled; Disabled; Modified; Deleted
Warehouse :: Created; Enabled; Disabled; Modified; Deleted; Run Failed
Tracking Plan :: Created; Modified; Deleted; Inferred; Updated; Operations Updated
Tracking Plan :: New Event Blocked; New Event Allowed; New Group Trait Omitted; New Identify Trait Omitted; New Track Property Omitted
New Event Blocked; New Event Allowed; New Group Trait Omitted; New Identify Trait Omitted; New Track Property Omitted
Source Connected to Tracking Plan; Source Disconnected From Tracking Plan; Violations Detected; New Forbidden Event Property
Source Connected To Space; Source Disconnected From Space
Space :: Created; Modified; Deleted
Computed Trait :: Created; Modified; Deleted; CSV Downloaded; Run Failed; Destination Sync Failed
Audience :: Created; Modified; Deleted; CSV Downloaded; Run Failed; Destination Sync Failed; Run Complete; Run Forced; Preview Created
Engage Warehouse Source :: Created; Modified; Deleted
Personas Warehouse Source :: Created; Modified; Deleted
Schema Default Edited To: :: Block New Events; Allow New Events; Allow New Event Properties; Omit New Event Properties; Allow New Identify Traits; Omit New Identify Traits; Allow New Group Traits; Omit New Group Traits; Allow Identify Traits On Violation; Omit Identify Traits On Violation; Allow Group Traits On Violation; Omit Group Traits On Violation
Schema Default Edited To :: Block New Events; Allow New Events
Schema Event :: Allowed; Blocked; Archived; Property Conditions Edited
Schema Event Property Rule Edited To :: Optional; Required; Forbidden
Schema Identify Trait :: Allowed; Blocked; Archived
Schema Group Property :: Allowed; Blocked
Schema JSON File Upload; Permission Check; Activation Created; Data Graph Breaking Change
Destination Added into Audience; Destination Removed from Audience; Destination Updated for Audience
Destinations Listed from Audience; Supported Destinations Listed For Audience
Filter :: Created; Updated; Deleted
Profiles Sync Warehouse :: Created; Modified; Updated; Retrieved; Schema Retrieved; Deleted; Disabled; Sync Failed
Profiles Sync Historical Backfill Completed
Label :: Created; Deleted
Storage Destination :: Created; Enabled; Disabled; Modified; Deleted; Settings Validation; Sync Failed
Sync Partially Succeeded; Sync Skipped
Warehouse Credential :: Created; Modified; Deleted
Transformation :: Created; Updated; Deleted
Model :: Created; Deleted; Settings Saved; State Change Toggled
Reverse ETL Sync :: Failed; Partial Success
Source Regulation Created; Workspace Regulation Created; Regulation Deleted
New Segment User Invited to Workspace; Non-Segment User Invited to Workspace; Invite Deleted; Users Invited
Policy Created; Policy Deleted; User Policy Updated; User Group Policy Updated
Subjects Added to Group; User Added To User Group; User Removed From User Group; Group Memberships Deleted
Access Request Created; Public API Tokens Without Owners Detected
Support Access Granted; Support Login; Support Access Revoked
`);

// What the task engine writes; the exact names.
const TASK_EVENTS = [
  'Audience Run',
  'Audience Destination Sync',
  'Computed Trait Run',
  'Computed Trait Destination Sync',
]
  .flatMap((prefix) => ['Failed', 'Hard Failure', 'Recovered'].map((what) => `${prefix} ${what}`))
  .concat('Audience Run Complete', 'Computed Trait Run Complete');

describe('the event catalogue', () => {
  test('has every product area of the page, in its order, each with event types', () => {
    expect([...new Set(EVENT_TYPES.map((type) => type.area))]).toEqual(AREAS);
  });

  test('knows every published name, by itself or as an alias', () => {
    expect(PUBLISHED.filter((name) => resolveEventType(name) === undefined)).toEqual([]);
  });

  test('says no name twice, neither as a name nor as an alias', () => {
    const all = EVENT_TYPES.flatMap((type) => [type.name, ...type.aliases]).map((name) => name.toLowerCase());
    expect(all.filter((name, index) => all.indexOf(name) !== index)).toEqual([]);
  });

  test("has the task engine's events under their own names, as emitted", () => {
    const emitted = new Set<string>(EVENT_TYPES.filter((type) => type.emitted).map((type) => type.name));
    expect(TASK_EVENTS.filter((name) => !emitted.has(name))).toEqual([]);
  });

  test('says truly which types are emitted: those whose name is somewhere in src', () => {
    const src = new URL('../../src/', import.meta.url);
    const code = readdirSync(src, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.includes('audit/catalogue'))
      .map((path) => readFileSync(new URL(path, src), 'utf8'))
      .join('');
    // The names of what happens to computations and their tasks are put together from parts: the compiler checks those.
    const whole = EVENT_TYPES.filter((type) => type.area !== 'Audiences' && type.area !== 'Computed Traits');
    expect(whole.filter((type) => type.emitted !== code.includes(`'${type.name}'`)).map((type) => type.name)).toEqual(
      [],
    );
  });

  test('says of each type when it happens, in a sentence', () => {
    expect(EVENT_TYPES.filter((type) => !/^[A-Z].+\.$/.test(type.when))).toEqual([]);
  });

  test.each([
    ['Integrations Disabled', 'Destination Disabled'],
    ['integration disabled', 'Destination Disabled'],
    ['Warehouse Run Failed', 'Storage Destination Sync Failed'],
    ['  Audience Run Failed ', 'Audience Run Failed'],
    ['Audience Run Exploded', undefined],
  ])('resolves %j to %j', (given, canonical) => {
    expect(resolveEventType(given)).toBe(canonical);
  });
});
