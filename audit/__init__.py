"""The trail: an append-only, signed transparency log anybody can check without trusting whoever runs it."""

__version__ = "0.1.0"
