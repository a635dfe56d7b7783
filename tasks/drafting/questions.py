"""The questions that `init` asks: what neither the model nor the data can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from paddle_int8.tasks.contracts.errors import ConfigError, PipelineError
from paddle_int8.tasks.contracts.suggestion import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with an answer that is taken when nobody answers.

    option: the option of the program that answers it, without its dashes.
    why: what the default rests on.
    choices: the possible answers with their meaning; empty where any text will do.
    read: raises a PipelineError for an answer that cannot be used.
    """

    option: str
    text: str
    default: str
    why: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    read: Callable[[str], object] = str

    def refused(self, answer: str) -> PipelineError | None:
        """What is wrong with an answer, if anything."""
        if self.choices and answer not in self.choices:
            return ConfigError(
                found=f"--{self.option} {answer}{did_you_mean(answer, tuple(self.choices))}",
                required=f"one of {', '.join(self.choices)}",
                remedy=f"correct --{self.option}",
            )
        try:
            self.read(answer)
        except PipelineError as error:
            return error
        return None


Prompt = Callable[[Question], str]


@dataclass(slots=True, kw_only=True)
class Interview:
    """Asks each question once, of the options first and of the person then.

    given: answers by option.
    prompt: asks the person.
    yes: whether every default is taken without asking.
    assumed: the options whose default was taken.
    """

    given: Mapping[str, str]
    prompt: Prompt
    yes: bool
    assumed: list[str] = field(default_factory=list)

    def require_answers(self, *, terminal: bool) -> None:
        """Checks, before anything is loaded, that every question will have an answer.

        terminal: whether a person can be asked.
        Raises: ConfigError when nobody can be asked, and no defaults are to be taken.
        """
        if not (terminal or self.yes):
            raise ConfigError(
                found="no terminal to ask questions on, and no --yes",
                required="somebody to ask, or defaults to take",
                remedy="add --yes, which takes the default of every question that no other option answers",
            )

    def ask(self, question: Question) -> str:
        """The answer to a question: the one that was given, the default, or what the person says.

        Raises: ConfigError when the answer cannot be used.
        """
        if (answer := self.given.get(question.option)) is not None:
            return self._checked(question, answer)
        if self.yes:
            self.assumed.append(question.option)
            return question.default
        return self._checked(question, self.prompt(question))

    def _checked(self, question: Question, answer: str) -> str:
        if error := question.refused(answer):
            raise error
        return answer
