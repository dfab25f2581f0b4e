"""The concrete syntax and the standard library."""
