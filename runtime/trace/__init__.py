"""A recorded run in formats that other tools read."""
