"""The event engine: native code over flat tables (see `columns` for their layout)."""
