"""Pictures: guarded reading, folders and shards, tiles."""
