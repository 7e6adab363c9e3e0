"""A demo model small enough to ship, and the questions it is asked: see README.md next to this file."""

from pathlib import Path

__all__ = ["MODEL_DIR", "QUESTIONS"]

MODEL_DIR = Path(__file__).parent / "model"
QUESTIONS = Path(__file__).parent / "questions.jsonl"
