-- Of whom an extract says something: by which profiles their ids, traits and values came in, themselves and those merged into them. Of
-- an audience also whether it has them now, and whether the destination has (2 is unknown). Needed while the extract is made.
CREATE TABLE extract_people (
  extract_id UInt64,
  profile UInt32,
  owner UInt32,
  is_in UInt8,
  was_in UInt8,
  created_at DateTime DEFAULT now()
) ENGINE = MergeTree
ORDER BY (extract_id, profile)
TTL created_at + INTERVAL 1 DAY;

-- The bitmaps that stood for it.
DROP TABLE IF EXISTS extract_bitmaps SYNC;
