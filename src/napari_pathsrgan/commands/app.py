"""The verbs put together, and what a failure looks like: one sentence, exit code 2, no traceback unless asked for."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from napari_pathsrgan import __version__
from napari_pathsrgan.commands import (
    cache,
    evaluation,
    jobs,
    machine,
    models,
    registration,
    review,
    slides,
    training,
    upscale,
    window,
)
from napari_pathsrgan.commands.options import out_of_range
from napari_pathsrgan.errors import PathSRGANError

FAILED, INTERRUPTED, OUTPUT_CUT = 2, 130, 141

app = App(
    name="pathsrgan",
    help="Super-resolve a 4× scan of a cytology slide to 10× and 20×. Computed pictures, not for diagnosis.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    default_parameter=Parameter(negative=()),
)
for verb in (
    window.demo,
    window.view,
    slides.info,
    upscale.upscale,
    slides.phantom,
    training.train,
    cache.cache,
    machine.doctor,
):
    app.command(verb)
app.command(registration.register)
app.command(registration.accuracy)
app.command(evaluation.evaluate)
app.command(evaluation.evaluate_scanners)
app.command(models.app)
app.command(review.app)
app.command(jobs.app)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    debug: Annotated[
        bool, Parameter(negative=(), show_default=False, help="Show where in the program a failure arose.")
    ] = False,
) -> int:
    return run_verb(tokens, debug)[0]


def run_verb(tokens: Sequence[str], debug: bool = False) -> tuple[int, str]:
    """Run a verb; a failure is printed as one sentence.

    Parameters
    ----------
    tokens : sequence of str
        The verb and what follows it.
    debug : bool
        Whether to print where in the program a failure arose.

    Returns
    -------
    int
        The exit code.
    str
        The sentence; empty where there was no failure.
    """
    try:
        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        return _fail("Stopped.", debug, INTERRUPTED)
    except PathSRGANError as error:
        return _fail(str(error), debug)
    except CycloptsError as error:
        return _fail(one_sentence(error), debug)
    return int(code or 0), ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``pathsrgan``.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows ``pathsrgan`` on the command line; by default ``sys.argv``'s.

    Returns
    -------
    int
        0 when all went well, 2 on bad input, 3 when only a part could be done, 130 when interrupted, 141 when whoever
        read the output went away.
    """
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it finds wrong is told in a sentence of ours
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = int(app.meta(tokens, exit_on_error=False, print_error=False, result_action="return_value") or 0)
        sys.stdout.flush()
    except OSError as error:
        if not _is_cut(error) or not _nobody_reads(sys.stdout.fileno()):
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)  # for what Python still holds and prints on leaving
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return OUTPUT_CUT
    return code


def _is_cut(error: OSError) -> bool:
    """Whether an error is what writing into a pipe gives that nobody reads."""
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def _nobody_reads(pipe: int) -> bool:
    """Whether a pipe's other end is closed: another pipe than standard output's may be broken, which is a failure.

    Windows can't ask; there, a broken pipe is taken for standard output's.
    """
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(pipe, 0)
    return bool(poll.poll(0))


def _fail(sentence: str, debug: bool, code: int = FAILED) -> tuple[int, str]:
    if debug:
        traceback.print_exc()
    with contextlib.suppress(OSError):  # a job's log on a full disk: its record has the sentence too
        print(sentence, file=sys.stderr)
    return code, sentence


def one_sentence(error: CycloptsError) -> str:
    """Say what is wrong with an option in one sentence."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ValidationError):
        return str(out_of_range(cause))
    sentence = " ".join(str(error).split())
    return f"{sentence}{'' if sentence.endswith(('.', '?', '!')) else '.'} See pathsrgan --help."
