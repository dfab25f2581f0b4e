"""Sessions, the command line, the NumPy reference and reports."""
