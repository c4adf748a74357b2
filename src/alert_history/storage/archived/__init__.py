"""Archives, read where they lie: with DuckDB, from a fixed list of Parquet files."""
