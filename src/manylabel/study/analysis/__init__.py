"""What studies found: results, statistics, tables and figures."""
