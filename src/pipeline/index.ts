export { connectSource, disconnectSource, listSourceSpaces, listSpaceSources } from './sources/connect-source.ts';
export { createWriteKeyResolver, type ResolvedSource, type WriteKeyResolver } from './ingest/resolve-write-key.ts';
export { listSourceDetails } from './sources/list-source-details.ts';
export { getSource, type SourceRow } from './sources/source-row.ts';
export { createSource, deleteSource, listSources, updateSource } from './sources/sources.ts';
export { listSourceWarnings, type WarningCountRow } from './ingest/count-warnings.ts';
export {
  createSourceIdFilters,
  getBlockedIds,
  setBlockedIds,
  type BlockedIds,
  type SourceIdFilters,
} from './identity/space-blocked-ids.ts';
export type { IdFilter } from './identity/blocked-ids.ts';
export {
  countQuarantined,
  listQuarantined,
  redriveQuarantined,
  type QuarantinedEventRow,
} from './consumers/quarantine.ts';
export { applyRestore, findRestore, noticeRestore, planRestore } from './log/restore.ts';
export { createWriteKey, isWriteKey, listWriteKeys, revokeWriteKey } from './sources/write-keys.ts';
export { EventWriter, WriterBusyError } from './ingest/event-writer.ts';
export { EVENT_TYPES, type EventType } from './message-types.ts';
export {
  MAX_BATCH_BYTES,
  parseTrackingBody,
  readBatch,
  readSingle,
  type TrackingBody,
} from './ingest/read-tracking-body.ts';
export { createLoader, type Loader, type LoaderOptions } from './consumers/loader.ts';
export { loaderLag, loaderWatermark, waitUntilLoaded } from './consumers/loader-lag.ts';
export { trimEventLog } from './log/trim-event-log.ts';
export { appendEvents, type LogEntry, type LogRequest } from './ingest/append-events.ts';
export { outlastAppends } from './ingest/outlast-appends.ts';
