"""The truth: sessions, schema, snapshots, and who owns an intent."""
