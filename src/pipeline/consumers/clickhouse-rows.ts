import { storedJson } from '../../stored-json.ts';
import type { IdentityBatch } from '../identity/write-identity.ts';
import { MIN_TIME_MS } from '../ingest/event-time.ts';
import type { EventWarning } from '../ingest/event-warnings.ts';
import { eventName, eventProperties } from '../log/log-event.ts';
import { type LogEvent } from '../log/check-log-event.ts';

/** The loader's tables in ClickHouse and their columns, in the order in which they are filled: no event before its profile. */
export const LOADED_TABLES = {
  profiles: ['space_id', 'profile', 'user_id', 'anonymous_id', 'merged_into', 'version'],
  accounts: ['space_id', 'account', 'group_id', 'version'],
  account_members: ['space_id', 'account', 'profile', 'version'],
  account_traits: ['space_id', 'trait', 'account', 'value', 'timestamp', 'version'],
  profile_traits: ['space_id', 'trait', 'profile', 'value', 'timestamp', 'version'],
  events: [
    'space_id',
    'type',
    'event',
    'profile',
    'timestamp',
    'received_at',
    'source_id',
    'message_id',
    'properties',
    'context',
    'warnings',
    'batch',
  ],
} as const satisfies Record<string, readonly [string, ...string[]]>;

export type LoadedTable = keyof typeof LOADED_TABLES;
export type ClickHouseRows = Record<LoadedTable, (string | number)[][]>;

export function noRows(): ClickHouseRows {
  return { profiles: [], accounts: [], account_members: [], account_traits: [], profile_traits: [], events: [] };
}

/** An event in one of its spaces, with the profile (and of a group call the account) that it belongs to. */
export interface PlacedEvent {
  spaceId: string;
  sourceId: string;
  profile: number;
  account: number | null;
  /** Its number in the log, counted over the life of the consumer. */
  ordinal: number;
  /** The number of the batch that it is loaded with. */
  batch: number;
  event: LogEvent;
  warnings: readonly EventWarning[];
}

/** Adds an event's rows: itself, its traits, and of a group call the member. */
export function addEventRows(rows: ClickHouseRows, placed: PlacedEvent): void {
  const { spaceId, profile, account, ordinal, event } = placed;
  rows.events.push([
    spaceId,
    event.type,
    eventName(event),
    profile,
    event.timestamp,
    event.receivedAt,
    placed.sourceId,
    event.messageId,
    storedJson(eventProperties(event)),
    storedJson(event.context ?? {}),
    JSON.stringify(placed.warnings),
    placed.batch,
  ]);
  if (event.type === 'identify') addTraits(rows.profile_traits, placed, profile);
  if (event.type !== 'group' || account === null) return;
  rows.account_members.push([spaceId, account, profile, ordinal]);
  addTraits(rows.account_traits, placed, account);
}

/** Adds the rows of what a batch changed about who is who. `version` is the batch's number: a later batch's row counts. */
export function addIdentityRows(rows: ClickHouseRows, batch: IdentityBatch, version: number): void {
  for (const row of batch.profiles) {
    rows.profiles.push([
      row.spaceId,
      row.profile,
      row.user_id ?? '',
      row.anonymous_id ?? '',
      row.merged_into ?? 0,
      version,
    ]);
  }
  for (const row of batch.accounts) rows.accounts.push([row.spaceId, row.account, row.group_id, version]);
}

function addTraits(rows: (string | number)[][], { spaceId, ordinal, event }: PlacedEvent, owner: number): void {
  const { traits } = event;
  if (traits === undefined || traits === null) return;
  const version = traitVersion(event.timestamp, ordinal);
  for (const [trait, value] of Object.entries(traits)) {
    rows.push([spaceId, trait, owner, storedJson(value), event.timestamp, version]);
  }
}

const ORDINAL_DIGITS = 16;

/**
 * Orders the writes of a trait: by time, and at the same millisecond by place in the log. A UInt128 as text: milliseconds
 * since 1900, which are never negative, then the ordinal in sixteen decimal digits.
 */
function traitVersion(timestamp: string, ordinal: number): string {
  return `${Date.parse(timestamp) - MIN_TIME_MS}${String(ordinal).padStart(ORDINAL_DIGITS, '0')}`;
}
