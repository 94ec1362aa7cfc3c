"""Ask a language model for labels and their scores, each question once.

Answers are in the log of the run. A question that has been answered is not asked
again, in this call or a later one; one whose answers were malformed or refused is
tried three times in all, and left out then.
"""

import contextlib
import threading
from typing import Any

from tfvis_jax.labelling import (
    endpoint,
    excerpts,
    questions,
    request_log,
    scores,
    trials,
)

_TRIES = 3


class BudgetSpent(Exception):
    """As many requests were sent as may be."""


class Stopped(Exception):
    """Another thread has failed; this one sends nothing more."""


class Asker:
    """Asks one model; methods may be called by several threads.

    Attributes:
      n_requests: that were sent.
      n_unanswered: questions that were given up.
      tokens: of requests and answers, as far as the server counts them.
    """

    def __init__(
        self,
        server: endpoint.Endpoint,
        log: request_log.RequestLog,
        *,
        max_requests: int | None,
        stop: threading.Event,
    ) -> None:
        """Sends nothing yet.

        Args:
          server: where the model is.
          log: of the run.
          max_requests: that may be sent; any number if None.
          stop: once set, nothing more is sent.
        """
        self._server, self._log, self._stop = server, log, stop
        self._max_requests, self._lock = max_requests, threading.Lock()
        self.n_requests = self.n_unanswered = 0
        self.tokens = [0, 0]

    def is_answered(self, question: questions.Question) -> bool:
        """Returns whether nothing has to be sent for a question."""
        return len(self._lines(question)) >= _TRIES or bool(self.known(question))

    def known(self, question: questions.Question) -> list[Any]:
        """Returns what the answer in the log says, as one item; none without one."""
        for line in self._lines(question):
            if line.outcome == "read":
                # Who edits the log, or another version, may have read it otherwise.
                with contextlib.suppress(questions.Malformed):
                    return [question.read(line.answer)]
        return []

    def ask(self, question: questions.Question) -> Any:
        """Returns what the answer says, from the log if it is there; None if given up.

        Raises:
          InputError: as `Endpoint.complete`.
          BudgetSpent: no more requests may be sent.
          Stopped: another thread has failed.
        """
        for value in self.known(question):
            return value
        key = question.key(self._server.model)
        why = [line.why or "it cannot be read" for line in self._lines(question)]
        while len(why) < _TRIES:
            messages = question.again(why)
            completion = self._server.complete(messages, before=self._count)
            outcome, reason, value = "read", "", None
            if completion.refused:
                outcome, reason = "refused", "it declines to answer"
            else:
                try:
                    value = question.read(completion.text)
                except questions.Malformed as error:
                    outcome, reason = "malformed", str(error)
            line = request_log.Line(
                key,
                question.factor,
                question.task,
                self._server.model,
                completion.text,
                outcome,
                reason,
            )
            with self._lock:
                self._log.add(
                    line,
                    {
                        "endpoint": self._server.address,
                        "messages": messages,
                        "tokens": completion.tokens,
                    },
                )
                for place, n in enumerate(completion.tokens or ()):
                    self.tokens[place] += n
            if outcome == "read":
                return value
            why.append(reason)
        with self._lock:
            self.n_unanswered += 1
        return None

    def label(self, material: excerpts.Material) -> str | None:
        """Returns the model's label of a factor; None if it gives none."""
        return self.ask(questions.name_it(material))

    def score(
        self, label: str, material: excerpts.Material, asked: trials.Trials
    ) -> dict[str, scores.Score]:
        """Returns the scores of a label, by name, as far as questions are answered."""
        found: dict[str, scores.Score] = {}
        for name, each in score_questions(label, material.factor, asked).items():
            right = n = 0
            for question, truth in each:
                said = self.ask(question)
                if said is not None:
                    right += sum(a == b for a, b in zip(said, truth, strict=True))
                    n += len(truth)
            if n:
                found[name] = scores.Score(right, n)
        return found

    def _lines(self, question: questions.Question) -> list[request_log.Line]:
        key = question.key(self._server.model)
        with self._lock:
            return list(self._log.answers.get(key, []))

    def _count(self) -> None:
        if self._stop.is_set():
            raise Stopped
        with self._lock:
            if self._max_requests is not None and self.n_requests >= self._max_requests:
                raise BudgetSpent
            self.n_requests += 1


def score_questions(
    label: str, factor: int, asked: trials.Trials
) -> dict[str, list[tuple[questions.Question, list[Any]]]]:
    """Returns the questions of each score, with what is true."""
    return {
        "detection": [*questions.detect(factor, label, asked.detection)],
        "fuzzing": [*questions.fuzz(factor, label, asked.fuzzing)],
        "intruder": [*questions.intrude(factor, label, asked.intruder)],
    }
