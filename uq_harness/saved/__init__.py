"""Answers that somebody saved: read, scored as far as the file goes, judged, and written as a run is.

No model answers here. What a file lacks is said, method by method.
"""

from uq_harness.saved._plan import MethodReport
from uq_harness.saved._read import SavedAnswer, SavedFile, SavedSample, SavedSet, read_saved
from uq_harness.saved._run import ScoredFile, check_output, names_of, score_file

__all__ = [
    "MethodReport",
    "SavedAnswer",
    "SavedFile",
    "SavedSample",
    "SavedSet",
    "ScoredFile",
    "check_output",
    "names_of",
    "read_saved",
    "score_file",
]
