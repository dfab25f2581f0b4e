"""Hypothesis strategies for programs, machines and images; needs the extra `testing`."""
