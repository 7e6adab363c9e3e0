"""What an engine lacks for a need, in words, with the way out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from uq_harness.backends.served.beams import candidates
from uq_harness.backends.served.engine import Abilities, Ability
from uq_harness.backends.served.sampling import is_own_law
from uq_harness.evidence import (
    AlternativeEntailment,
    AnswerAttention,
    AnswerEntailment,
    AnswerEntropies,
    AnswerLogProbs,
    AnswersGivenAnswers,
    AnswerSimilarity,
    ComparedContinuationLogProb,
    ConfidenceReply,
    ContinuationLogProb,
    DiverseBeams,
    DrawLogProbs,
    HeadGradient,
    LikeliestTokens,
    Need,
    PairwiseEntailment,
    PairwiseSimilarity,
    RescoredLogProb,
    SampleLogits,
    SampleLogProbs,
    Samples,
    SampleSet,
    SampleStates,
    SelfAttention,
    StateGradient,
    StateGradientMap,
    TokenRelevance,
    TokenStatistic,
    UnconditionalLogProbs,
    VocabularySize,
)
from uq_harness.functional.statistics import Statistic

# What takes the model's weights, in words.
_OF_THE_WEIGHTS: dict[type[Need[Any]], str] = {
    HeadGradient: "gradients",
    StateGradient: "gradients",
    StateGradientMap: "gradients",
    SampleStates: "the model's hidden states",
    AnswerEntropies: "entropies of whole distributions",
    SelfAttention: "attention weights",
    AnswerAttention: "attention weights",
    VocabularySize: "the size of the model's vocabulary",
    SampleLogits: "logits",
}
_AFTERWARDS = (
    "add it afterwards with `uq-harness score …/samples_*.jsonl --model MODEL` (save_samples=true keeps what it needs)"
)
# What the texts and tokens of a set suffice for, with the auxiliary models.
_OF_TEXTS = (
    Samples,
    DiverseBeams,
    PairwiseEntailment,
    AnswerEntailment,
    PairwiseSimilarity,
    AnswerSimilarity,
    TokenRelevance,
)


def missing(need: Need[Any], engine: Abilities, n_ends: int) -> str | None:
    """What an engine lacks for a need; ``None`` where it lacks nothing.

    Args:
        need: The need.
        engine: The engine.
        n_ends: Number of tokens that end an answer.
    """
    if type(need) in _OF_THE_WEIGHTS:
        return f"{_OF_THE_WEIGHTS[type(need)]}, which an engine does not give: {_AFTERWARDS}"
    if isinstance(need, ConfidenceReply):
        return None
    if isinstance(need, AnswerLogProbs):
        return engine.lacks(Ability.LOGPROBS)
    if isinstance(need, TokenStatistic):
        return _missing_statistic(need.statistic, engine)
    if isinstance(need, LikeliestTokens):
        return engine.lacks(Ability.LOGPROBS) or _missing_likeliest(need.count, engine)
    if isinstance(need, AlternativeEntailment):
        return missing(need.alternatives, engine, n_ends)
    if isinstance(need, ContinuationLogProb | ComparedContinuationLogProb | UnconditionalLogProbs):
        drawn = need.sample_set
        return engine.lacks(Ability.FORCED) or (None if drawn is None else _missing_set(drawn, engine, n_ends))
    drawn = need.sample_set
    if drawn is None or not isinstance(need, _KINDS):
        return f"{type(need).__name__}, which an engine does not give"
    return _missing_set(drawn, engine, n_ends) or _missing_about(need, engine)


def alternatives(needs: Iterable[Need[Any]], n_ends: int) -> int:
    """How many likeliest tokens at each step some needs take; 0 for none.

    Args:
        needs: The needs.
        n_ends: Number of tokens that end an answer.
    """
    needs = tuple(needs)
    statistics = [need.statistic for need in needs if isinstance(need, TokenStatistic)]
    listed = [one.n_likeliest for one in statistics if not one.reads_everything]
    listed += [need.count for need in needs if isinstance(need, LikeliestTokens)]
    searches = [drawn for need in needs if isinstance(drawn := need.sample_set, DiverseBeams)]
    return max([*(candidates(search, n_ends) for search in searches), *listed], default=0)


_KINDS = (*_OF_TEXTS, SampleLogProbs, DrawLogProbs, RescoredLogProb, AnswersGivenAnswers)


def tells_own_logprobs(drawn: SampleSet, engine: Abilities) -> bool:
    """Whether the log-probabilities that an engine tells of a set's answers are the model's own."""
    return _missing_logprobs(drawn, engine) is None


def _missing_set(drawn: SampleSet, engine: Abilities, n_ends: int) -> str | None:
    if isinstance(drawn, Samples):
        return engine.lacks(Ability.SEEDS)
    lacking = engine.lacks(Ability.ALTERNATIVES)
    wanted = candidates(drawn, n_ends)
    if lacking is None and engine.most_alternatives < wanted:
        return (
            f"the {wanted} likeliest tokens at each step of {drawn.groups} diverse beams, and the engine tells "
            f"{engine.most_alternatives} at most: let it tell more (vLLM: --max-logprobs {wanted}), or ask for fewer "
            "beams (density_beams)"
        )
    return lacking


def _missing_statistic(statistic: Statistic, engine: Abilities) -> str | None:
    """What an engine lacks for a number of the likeliest tokens at each step.

    Where a number may have to read further than the engine tells, its value is undefined for that answer alone.
    """
    if statistic.reads_everything:
        return f"sums over whole distributions, which an engine does not give: {_AFTERWARDS}"
    return _missing_likeliest(2 if statistic.reads_gaps else statistic.n_likeliest, engine)


def _missing_likeliest(wanted: int, engine: Abilities) -> str | None:
    """What an engine lacks for some of the likeliest tokens at each step."""
    lacking = engine.lacks(Ability.ALTERNATIVES)
    if lacking is None and engine.most_alternatives < wanted:
        return (
            f"the {wanted} likeliest tokens at each step, and the engine tells {engine.most_alternatives} at most: let "
            f"it tell more (vLLM: --max-logprobs {wanted}), or {_AFTERWARDS}"
        )
    return lacking


def _missing_about(need: Need[Any], engine: Abilities) -> str | None:
    if isinstance(need, SampleLogProbs):
        return _missing_logprobs(need.samples, engine)
    if isinstance(need, DrawLogProbs):
        return _missing_draw(need.samples, engine)
    if isinstance(need, RescoredLogProb):
        if need.temperature > 1:
            return (
                f"whole distributions, which log-probabilities at temperature {need.temperature:g} take and an engine "
                "does not tell: use 1 at most (density_temperature)"
            )
        exact = need.temperature == 1
        return engine.lacks(Ability.FORCED) or (None if exact else engine.lacks(Ability.FORCED_ALTERNATIVES))
    if isinstance(need, AnswersGivenAnswers):
        own = _missing_draw if need.sampled else _missing_logprobs
        return own(need.samples, engine) or engine.lacks(Ability.FORCED)
    return None


def _missing_logprobs(drawn: SampleSet, engine: Abilities) -> str | None:
    lacking = engine.lacks(Ability.LOGPROBS)
    if lacking is None and isinstance(drawn, Samples) and not is_own_law(drawn):
        return engine.lacks(Ability.OWN_LAW)
    return lacking


def _missing_draw(drawn: Samples, engine: Abilities) -> str | None:
    if not is_own_law(drawn):
        return (
            f"log-probabilities under the law that samples are drawn from at temperature {drawn.temperature:g}, top_p "
            f"{drawn.top_p:g} and top_k {drawn.top_k}, which an engine does not tell: use sample_logprobs=model, or "
            "temperature 1 with nothing cut off"
        )
    return _missing_logprobs(drawn, engine)
