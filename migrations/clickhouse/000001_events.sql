-- Partitioned by arrival, not by the client's clock: a batch with a hundred strange timestamps still makes one partition.
CREATE TABLE events (
  space_id LowCardinality(String),
  type LowCardinality(String),
  -- a track's name; 'Page Viewed' and 'Screen Viewed' for page and screen calls, as Segment's audiences name them
  event LowCardinality(String),
  profile UInt32,
  timestamp DateTime64(3, 'UTC'),
  received_at DateTime64(3, 'UTC'),
  source_id LowCardinality(String),
  message_id String,
  properties String CODEC(ZSTD(1)),
  context String CODEC(ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (space_id, event, profile, timestamp)
SETTINGS non_replicated_deduplication_window = 10000;

-- The copy of who is who that computing reads. The latest version of a row counts; merged_into is 0 for a profile that stands.
CREATE TABLE profiles (
  space_id LowCardinality(String),
  profile UInt32,
  user_id String,
  anonymous_id String,
  merged_into UInt32,
  version UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY (space_id, profile)
SETTINGS non_replicated_deduplication_window = 10000;

-- Traits of profiles, value as JSON; 'null' is a trait that was taken away. version orders writes: timestamp first, then place in
-- the log, which 64 bits can't hold side by side.
CREATE TABLE profile_traits (
  space_id LowCardinality(String),
  trait LowCardinality(String),
  profile UInt32,
  value String CODEC(ZSTD(1)),
  timestamp DateTime64(3, 'UTC'),
  version UInt128
) ENGINE = ReplacingMergeTree(version)
ORDER BY (space_id, trait, profile)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE accounts (
  space_id LowCardinality(String),
  account UInt32,
  group_id String,
  version UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY (space_id, account)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE account_traits (
  space_id LowCardinality(String),
  trait LowCardinality(String),
  account UInt32,
  value String CODEC(ZSTD(1)),
  timestamp DateTime64(3, 'UTC'),
  version UInt128
) ENGINE = ReplacingMergeTree(version)
ORDER BY (space_id, trait, account)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE account_members (
  space_id LowCardinality(String),
  account UInt32,
  profile UInt32,
  version UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY (space_id, account, profile)
SETTINGS non_replicated_deduplication_window = 10000;
