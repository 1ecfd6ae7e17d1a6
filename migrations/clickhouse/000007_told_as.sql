-- Whether a destination knows the profile by an anonymous id: that is what it has to be told where the profile has become a user's.
ALTER TABLE baselines ADD COLUMN IF NOT EXISTS anonymous UInt8 DEFAULT 0;
ALTER TABLE baseline_bitmaps ADD COLUMN IF NOT EXISTS anonymous AggregateFunction(groupBitmap, UInt32);

-- Changes that take a person out under an anonymous id, because the profile is a user's by now.
ALTER TABLE sync_changes ADD COLUMN IF NOT EXISTS outgrown UInt8 DEFAULT 0;
ALTER TABLE extract_people ADD COLUMN IF NOT EXISTS outgrown UInt8 DEFAULT 0;
