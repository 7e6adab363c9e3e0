"""Texts as lexical comparisons see them: normalised, split into words, and their overlap.

The normalisation is SQuAD's (Rajpurkar et al. 2016, arXiv 1606.05250, evaluation script v1.1), which TriviaQA and most
question-answering work use too.
"""

import re
import string
from collections import Counter

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize_answer(text: str) -> str:
    """Lower-cases, removes ASCII punctuation and English articles, and leaves single spaces.

    Letters of every script stay. A text of nothing but articles and punctuation becomes empty.

    >>> normalize_answer("The Eiffel-Tower,  Paris!")
    'eiffeltower paris'
    >>> normalize_answer("Москва́ и 北京")
    'москва́ и 北京'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def tokens(text: str) -> list[str]:
    """The words of the normalised text.

    >>> tokens("A dog's life")
    ['dogs', 'life']
    """
    return normalize_answer(text).split()


def token_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of the precision and recall of words, counted with repetition.

    Two texts without any word are equal (1); a text with words and one without share nothing (0).

    >>> token_f1("the red dog", "a dog")
    0.6666666666666666
    """
    return f1_of_tokens(tokens(prediction), tokens(reference))


def f1_of_tokens(prediction: list[str], reference: list[str]) -> float:
    """`token_f1` of texts that are split already."""
    if not prediction or not reference:
        return float(prediction == reference)
    shared = (Counter(prediction) & Counter(reference)).total()
    return 2 * shared / (len(prediction) + len(reference))
