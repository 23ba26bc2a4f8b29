"""The house: who may do what, and the four journeys (intake, question, release, scrutiny)."""

__version__ = "0.1.0"
