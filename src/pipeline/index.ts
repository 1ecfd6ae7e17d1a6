export { connectSource, disconnectSource, listSourceSpaces, listSpaceSources } from './connect-source.ts';
export { createWriteKeyResolver, type ResolvedSource, type WriteKeyResolver } from './resolve-write-key.ts';
export { listSourceDetails } from './list-source-details.ts';
export { getSource, type SourceRow } from './source-row.ts';
export { createSource, deleteSource, listSources, updateSource } from './sources.ts';
export { listSourceWarnings, type WarningCountRow } from './count-warnings.ts';
export {
  createSourceIdFilters,
  getBlockedIds,
  setBlockedIds,
  type BlockedIds,
  type SourceIdFilters,
} from './identity/space-blocked-ids.ts';
export type { IdFilter } from './identity/blocked-ids.ts';
export { countQuarantined, listQuarantined, redriveQuarantined, type QuarantinedEventRow } from './quarantine.ts';
export { applyRestore, findRestore, noticeRestore, planRestore } from './restore.ts';
export { createWriteKey, isWriteKey, listWriteKeys, revokeWriteKey } from './write-keys.ts';
export { EventWriter, WriterBusyError } from './event-writer.ts';
export { EVENT_TYPES, type EventType } from './message.ts';
export { MAX_BATCH_BYTES, parseTrackingBody, readBatch, readSingle, type TrackingBody } from './read-tracking-body.ts';
export { createLoader, type Loader, type LoaderOptions } from './loader.ts';
export { loaderLag, loaderWatermark, waitUntilLoaded } from './loader-lag.ts';
export { trimEventLog } from './trim-event-log.ts';
export { appendEvents, type LogEntry, type LogRequest } from './append-events.ts';
export { outlastAppends } from './outlast-appends.ts';
