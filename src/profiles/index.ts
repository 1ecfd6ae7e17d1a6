/** How a profile is read: who it is, what it has and where it is a member, through the mapping of merged profiles. */
export {
  computedTraitSql,
  firstOfOwnerSql,
  followersSql,
  membersBitmapSql,
  membersSql,
  mergedBitmapSql,
  mergedOrUsersSql,
  ownIdsSql,
  ownTraitSql,
  recordedTraitSql,
  standingProfilesSql,
  traitVersionSql,
  withOwnersSql,
} from './identity-sql.ts';
export { readProfileIds, type ProfileIds } from './profile-ids.ts';
export { isRecordedTrait, MATCHED_TRAIT } from './recorded-traits.ts';
