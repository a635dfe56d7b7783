"""Asks a person on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.prompt import Prompt as Line

from paddle_int8.flows.cli.terminal import StepDisplay, print_error
from paddle_int8.tasks.drafting.questions import Prompt, Question


def prompt_on(console: Console, display: StepDisplay) -> Prompt:
    """A function that asks on `console`, while `display` is paused, until the answer can be used."""

    def ask(question: Question) -> str:
        with display.paused():
            console.print(f"\n[bold]{escape(question.text)}[/]", highlight=False)
            if question.why:
                console.print(f"[dim]{escape(question.why)}[/]", highlight=False)
            for choice, meaning in question.choices.items():
                console.print(f"  {choice:<9} {escape(meaning)}", highlight=False)
            while True:
                answer = Line.ask(f"--{question.option}", console=console, default=question.default)
                if (error := question.refused(answer)) is None:
                    return answer
                print_error(console, error)

    return ask
