"""The `watti` command line: what people run."""
