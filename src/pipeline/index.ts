export { connectSource, disconnectSource, listSourceSpaces, listSpaceSources } from './connect-source.ts';
export { createWriteKeyResolver, type ResolvedSource, type WriteKeyResolver } from './resolve-write-key.ts';
export { getSource, type SourceRow } from './source-row.ts';
export { createSource, deleteSource, listSources, updateSource } from './sources.ts';
export { createWriteKey, listWriteKeys, revokeWriteKey, type WriteKeyView } from './write-keys.ts';
