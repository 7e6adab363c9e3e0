"""Questions in other words: files of paraphrases."""

from uq_harness.paraphrase._file import Dropped, Paraphrased, ParaphraseFile, distinct, read_paraphrases, single_spaced

__all__ = ["Dropped", "ParaphraseFile", "Paraphrased", "distinct", "read_paraphrases", "single_spaced"]
