"""What a station runs: it decides, and never touches hardware, a clock or a random source of its own."""

__version__ = "0.1.0"
