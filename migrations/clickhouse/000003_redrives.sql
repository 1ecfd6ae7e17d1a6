-- The profiles that the extract of a redrive looks at: those whose rows its destination had refused. Needed while the extract is
-- made, so they are not kept for long.
CREATE TABLE redriven_profiles (
  extract_id UInt64,
  profile UInt32,
  created_at DateTime DEFAULT now()
) ENGINE = MergeTree
ORDER BY (extract_id, profile)
TTL created_at + INTERVAL 1 DAY;
