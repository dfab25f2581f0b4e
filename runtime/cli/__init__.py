"""The `meshc` command line; importing it costs argparse and nothing else."""

from runtime.cli.entry import main

__all__ = ["main"]
