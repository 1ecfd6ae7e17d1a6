-- One row a version: the members as a Roaring bitmap of profile numbers.
CREATE TABLE audience_versions (
  computation_id String,
  version UInt64,
  members AggregateFunction(groupBitmap, UInt32),
  created_at DateTime DEFAULT now()
) ENGINE = MergeTree
ORDER BY (computation_id, version);

-- A few rows a version: values (JSON) of up to 65,536 neighbouring profiles each, so that a version is not a million rows.
CREATE TABLE trait_versions (
  computation_id String,
  version UInt64,
  bucket UInt16,
  profiles Array(UInt32) CODEC(ZSTD(1)),
  values Array(String) CODEC(ZSTD(1)),
  created_at DateTime DEFAULT now()
) ENGINE = MergeTree
ORDER BY (computation_id, version, bucket);

-- The changes that one sync delivers, frozen by its step extract under a number of its own.
-- value and previous are JSON; '' where there is none (no value any more, or never sent).
CREATE TABLE sync_changes (
  extract_id UInt64,
  idx UInt32,
  profile UInt32,
  value String,
  previous String,
  user_id String,
  anonymous_id String,
  traits String CODEC(ZSTD(1)),
  created_at DateTime DEFAULT now()
) ENGINE = MergeTree
ORDER BY (extract_id, idx)
TTL created_at + INTERVAL 30 DAY;

-- What a destination has acknowledged about each profile; seq is the extract that delivered it.
CREATE TABLE baselines (
  connection_id String,
  profile UInt32,
  value String CODEC(ZSTD(1)),
  seq UInt64
) ENGINE = ReplacingMergeTree(seq)
ORDER BY (connection_id, profile);
