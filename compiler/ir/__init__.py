"""The tensor graph, its builder, printer, parser and verifier."""
