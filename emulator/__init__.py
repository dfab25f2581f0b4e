"""Run images: event engine, networks, memories, threads and tile kernels."""
