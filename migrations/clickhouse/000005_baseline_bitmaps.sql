-- The order in which baselines' rows were written: each write takes a number of version_seq; 0 is from before there was one.
ALTER TABLE baselines ADD COLUMN IF NOT EXISTS noted UInt64 DEFAULT 0 CODEC(Delta, ZSTD(1));
ALTER TABLE baselines ADD INDEX IF NOT EXISTS noted_order noted TYPE minmax GRANULARITY 1;

-- What an audience's baseline said when it was kept as bitmaps, so that to compare with it costs what has changed since: all rows
-- that were noted before it are in it. The rows are the truth, and these can be thrown away where nobody reads them.
CREATE TABLE baseline_bitmaps (
  connection_id String,
  noted UInt64,
  acknowledged AggregateFunction(groupBitmap, UInt32),
  unknown AggregateFunction(groupBitmap, UInt32),
  created_at DateTime DEFAULT now()
) ENGINE = MergeTree
ORDER BY (connection_id, noted);

-- Of whom an extract says something, and what is compared: needed while the extract is made. standing are profiles that stand,
-- leaving those that were merged and have to be taken out under their own ids.
CREATE TABLE extract_bitmaps (
  extract_id UInt64,
  live AggregateFunction(groupBitmap, UInt32),
  acknowledged AggregateFunction(groupBitmap, UInt32),
  unknown AggregateFunction(groupBitmap, UInt32),
  standing AggregateFunction(groupBitmap, UInt32),
  leaving AggregateFunction(groupBitmap, UInt32),
  created_at DateTime DEFAULT now()
) ENGINE = MergeTree
ORDER BY extract_id
TTL created_at + INTERVAL 1 DAY;
