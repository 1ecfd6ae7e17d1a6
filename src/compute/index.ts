export {
  advanceBaseline,
  BITMAPS_AFTER_ROWS,
  dropOldBitmaps,
  forgetUnsettled,
  keepBaselineBitmaps,
  readBaselineState,
  type ChangeRange,
  type Unsettled,
} from './baselines.ts';
export { readChanges, type Change } from './changes.ts';
export { dropOldVersions } from './drop-versions.ts';
export { freezeChanges } from './freeze-changes.ts';
export { hasVersions, listLeavers } from './leavers.ts';
export { keepRedrivenProfiles } from './redriven-profiles.ts';
export { requireVersions } from './require-versions.ts';
export { computeVersion, diffVersions, nextVersion, type QueryContext, type VersionDiff } from './versions.ts';
