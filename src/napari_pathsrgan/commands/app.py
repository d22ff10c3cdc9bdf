"""The command line ``pathsrgan``, made from the registry; a failure is one sentence and exit code 2."""

from __future__ import annotations

import contextlib
import errno
import inspect
import logging
import os
import select
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from cyclopts import App, CycloptsError, Parameter

from napari_pathsrgan import __version__
from napari_pathsrgan.commands.command import Command, Options, TypedAs, is_positional
from napari_pathsrgan.commands.option_text import command_words, option_help, option_name, validated
from napari_pathsrgan.commands.registry import commands, find_job_command, groups
from napari_pathsrgan.errors import OptionError, PathSRGANError

FAILED, INTERRUPTED, OUTPUT_CUT = 2, 130, 141


def build_app() -> App:
    """Make the command line of all commands that are registered."""
    app = App(
        name="pathsrgan",
        help="Super-resolve a 4× scan of a cytology slide to 10× and 20×. Computed images, not for diagnosis.",
        version=__version__,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    found = {name: App(name=name, help=group.help) for name, group in groups().items()}
    for group in found.values():
        app.command(group)
    for command in commands().values():
        own = found[command.group] if command.group else app
        own.command(_function(command), name=command.name.split()[-1], show=not command.hidden)
    return app


def _function(command: Command[Any]) -> Any:
    """Make a function whose signature cyclopts reads; it is called with what is given, not with defaults."""

    def run(*positional: Any, **given: Any) -> int | None:
        as_json = given.pop("json", False)
        return command.run(validated(command.options, _by_name(command.options, positional) | given), as_json)

    json = inspect.Parameter(
        "json",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, Parameter(negative=(), show_default=False, help="Print JSON for programs.")],
    )
    parameters = [_parameter(command.options, name) for name in command.options.model_fields]
    parameters.sort(key=lambda parameter: parameter.kind)
    signature = inspect.Signature([*parameters, *([json] if command.prints_json else [])])
    run.__doc__ = command.run.__doc__
    run.__signature__ = signature  # type: ignore[attr-defined]
    return run


def _by_name(options: type[Options], values: Sequence[Any]) -> dict[str, Any]:
    names = [name for name in options.model_fields if is_positional(options, name)]
    single = [name for name in names if not _takes_all(options, name)]
    named = dict(zip(single, values, strict=False))
    rest = values[len(single) :]
    return named | ({names[-1]: tuple(rest)} if rest else {})


def _takes_all(options: type[Options], name: str) -> bool:
    annotation = options.model_fields[name].annotation
    return get_origin(annotation) is tuple and Ellipsis in get_args(annotation)


def _parameter(options: type[Options], name: str) -> inspect.Parameter:
    """Describe an option to cyclopts."""
    about, usual = options.model_fields[name], inspect.Parameter.empty
    typed = next((mark for mark in about.metadata if isinstance(mark, TypedAs)), None)
    annotation: Any = about.annotation if typed is None else str | None
    help_ = option_help(options)[name]
    own = [mark for mark in about.metadata if isinstance(mark, Parameter)]
    kind: Any = inspect.Parameter.KEYWORD_ONLY
    if is_positional(options, name):
        takes_all = _takes_all(options, name)
        kind = inspect.Parameter.VAR_POSITIONAL if takes_all else inspect.Parameter.POSITIONAL_ONLY
        annotation = annotation.__args__[0] if takes_all else annotation
        described = Parameter(help=help_)
    else:
        usual = inspect.Parameter.empty if about.is_required() else about.get_default(call_default_factory=True)
        described = Parameter(
            name=option_name(options, name),
            help=help_,
            negative=(),
            show_default=False if usual is False else None,
            consume_multiple=_takes_all(options, name),
            metavar=None if typed is None else typed.form,
        )
    return inspect.Parameter(name, kind, default=usual, annotation=Annotated[annotation, described, *own])


def parse(command: Command[Any], words: Sequence[str]) -> dict[str, Any]:
    """Parse the words that follow a command without running it.

    Returns
    -------
    dict
        The options that are given, by their names.

    Raises
    ------
    OptionError
        If a word can't be understood.
    """
    app = App(name=command.name, help_format="plaintext")
    app.default(_function(command))
    try:
        _, bound, *_ = app.parse_args(list(words), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise OptionError(_sentence(error), "See pathsrgan --help.") from error
    return {name: value for name, value in bound.arguments.items() if name != "json"}


def run_command(words: Sequence[str], debug: bool = False) -> tuple[int, str]:
    """Run a command; a failure is printed as one sentence.

    Parameters
    ----------
    words : sequence of str
        The command and what follows it.
    debug : bool
        Whether to print where in the program a failure arose.

    Returns
    -------
    int
        The exit code.
    str
        The sentence; empty where there was no failure.
    """
    return _reporting(lambda: _call(build_app(), words), debug)


def run_saved(name: str, values: Mapping[str, Any]) -> tuple[int, str]:
    """Run a command with options that were saved as JSON; a failure is printed as one sentence.

    Returns
    -------
    int
        The exit code.
    str
        The sentence; empty where there was no failure.
    """

    def run() -> int | None:
        command = find_job_command(name)
        options = validated(command.options, values)
        # What starts helpers of its own, as training on several devices does, starts them by this.
        sys.argv[1:] = command_words(command, options)
        code = command.run(options, False)
        if not code and command.after_job is not None:
            command.after_job(options)
        return code

    return _reporting(run, debug=False)


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
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # errors carry what it finds wrong
    words = list(sys.argv[1:] if arguments is None else arguments)
    app = build_app()

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        debug: Annotated[
            bool, Parameter(negative=(), show_default=False, help="Show where in the program a failure arose.")
        ] = False,
    ) -> int:
        return _reporting(lambda: _call(app, tokens), debug)[0]

    try:
        code = _call(app.meta, words) or 0
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


def _call(app: App, words: Sequence[str]) -> int | None:
    return app(words, exit_on_error=False, print_error=False, result_action="return_value")  # type: ignore[no-any-return]


def _reporting(run: Callable[[], int | None], debug: bool) -> tuple[int, str]:
    try:
        return int(run() or 0), ""
    except KeyboardInterrupt:
        return _fail("Stopped.", debug, INTERRUPTED)
    except PathSRGANError as error:
        return _fail(str(error), debug)
    except CycloptsError as error:
        return _fail(f"{_sentence(error)} See pathsrgan --help.", debug)


def _sentence(error: CycloptsError) -> str:
    sentence = " ".join(str(error).split())
    return sentence + ("" if sentence.endswith((".", "?", "!")) else ".")


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
