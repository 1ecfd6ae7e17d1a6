-- JSON: what of an event was taken in another way than it says, each with code, field and message.
ALTER TABLE events ADD COLUMN IF NOT EXISTS warnings String DEFAULT '[]' CODEC(ZSTD(1));

-- The loader's batch that an event came with: what is of a batch that PostgreSQL knows nothing of can be told from the rest.
ALTER TABLE events ADD COLUMN IF NOT EXISTS batch UInt64 DEFAULT 0 CODEC(Delta, ZSTD(1));
ALTER TABLE events ADD INDEX IF NOT EXISTS batch_range batch TYPE minmax GRANULARITY 4;

-- A trait whose time is in the future would win over every later write until then: it counts as written now.
INSERT INTO profile_traits (space_id, trait, profile, value, timestamp, version)
SELECT space_id, trait, profile, value, now64(3),
  toUInt128(toUnixTimestamp64Milli(now64(3)) + 2208988800000) * toUInt128('10000000000000000') + version % toUInt128('10000000000000000')
FROM profile_traits FINAL WHERE timestamp > now64(3);
ALTER TABLE profile_traits DELETE WHERE timestamp > now64(3) SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1;

INSERT INTO account_traits (space_id, trait, account, value, timestamp, version)
SELECT space_id, trait, account, value, now64(3),
  toUInt128(toUnixTimestamp64Milli(now64(3)) + 2208988800000) * toUInt128('10000000000000000') + version % toUInt128('10000000000000000')
FROM account_traits FINAL WHERE timestamp > now64(3);
ALTER TABLE account_traits DELETE WHERE timestamp > now64(3) SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1;
