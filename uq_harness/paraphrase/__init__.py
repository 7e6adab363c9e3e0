"""Questions in other words: files of paraphrases, making them with a chat model, and judging whether they hold."""

from uq_harness.paraphrase._file import Dropped, Paraphrased, ParaphraseFile, distinct, read_paraphrases, single_spaced
from uq_harness.paraphrase._make import Made, make_paraphrases
from uq_harness.paraphrase._questions import Question, questions_of_file, questions_of_task
from uq_harness.paraphrase._validate import PAPER, Share, Validation, share, validate_paraphrases

__all__ = [
    "PAPER",
    "Dropped",
    "Made",
    "ParaphraseFile",
    "Paraphrased",
    "Question",
    "Share",
    "Validation",
    "distinct",
    "make_paraphrases",
    "questions_of_file",
    "questions_of_task",
    "read_paraphrases",
    "share",
    "single_spaced",
    "validate_paraphrases",
]
