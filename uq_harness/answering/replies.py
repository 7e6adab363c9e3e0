"""What models reply when asked about their answers: for records, and for a warning about replies that state nothing."""

from __future__ import annotations

import logging
import math

from uq_harness.evidence import ConfidenceReply, Evidence
from uq_harness.functional import stated_confidence

log = logging.getLogger(__name__)


def confidence_reply(evidence: Evidence) -> str | None:
    """What the model replied when asked about its answer; ``None`` where it was not, or gave no reply."""
    found = (text for need, text in evidence.values.items() if isinstance(need, ConfidenceReply))
    return next((text for text in found if text is not None), None)


class ReplyNotice:
    """Counts the replies that state no probability."""

    def __init__(self) -> None:
        self._replies, self._without = 0, 0
        self._example = ""

    def look(self, evidence: Evidence) -> None:
        """Looks at the evidence about one question."""
        reply = confidence_reply(evidence)
        if reply is None:
            return
        self._replies += 1
        if math.isnan(stated_confidence(reply)):
            self._without += 1
            self._example = self._example or reply

    def tell(self) -> None:
        """Says how many there were, with an example."""
        if self._without:
            log.warning(
                "%d of %d replies state no probability, and the answers have no score of verbalized_confidence; one "
                "reply is %r. Of a model that thinks before it replies nothing else is left: turn its thinking off "
                "where the chat template can (enable_thinking=False)",
                *(self._without, self._replies, self._example),
            )
