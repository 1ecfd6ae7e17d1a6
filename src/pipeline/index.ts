export { connectSource, disconnectSource, listSourceSpaces, listSpaceSources } from './connect-source.ts';
export { createWriteKeyResolver, type ResolvedSource, type WriteKeyResolver } from './resolve-write-key.ts';
export { getSource, type SourceRow } from './source-row.ts';
export { createSource, deleteSource, listSources, updateSource } from './sources.ts';
export { createWriteKey, listWriteKeys, revokeWriteKey, type WriteKeyView } from './write-keys.ts';
export { EventWriter, WriterBusyError } from './event-writer.ts';
export { EVENT_TYPES, type EventType } from './message.ts';
export { MAX_BATCH_BYTES, parseTrackingBody, readBatch, readSingle, type TrackingBody } from './read-tracking-body.ts';
