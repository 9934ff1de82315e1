"""The help of every verb: options by purpose, and examples that are commands of it."""

import re
import shlex

import pytest

from onnxbound.cli.examples import EXAMPLES
from tests.cli.command import VERBS, onnxbound


def test_every_verb_has_two_examples() -> None:
    assert list(EXAMPLES) == list(VERBS)
    assert {len(examples) for examples in EXAMPLES.values()} == {2}


@pytest.mark.parametrize("verb", EXAMPLES)
def test_examples_are_commands(verb: str) -> None:
    for example in EXAMPLES[verb]:
        name, own, *words = shlex.split(example)
        assert (name, own) == ("onnxbound", verb)
        VERBS[verb].make_context(verb, words)  # parses, and runs nothing


@pytest.mark.parametrize("verb", EXAMPLES)
def test_every_option_stands_once_in_the_help(verb: str) -> None:
    text = onnxbound(verb, "--help").stdout
    for parameter in VERBS[verb].params:
        if parameter.param_type_name == "option":
            assert len(re.findall(rf"^  (-\w, )?{parameter.opts[0]}( |$)", text, re.MULTILINE)) == 1
    assert text.count("Examples:") == 1


@pytest.mark.parametrize(
    "words, found",
    [("explain layer_", {"layer_cushion"}), ("compress --method int", {"int4-weights", "int8", "int8-weights"})],
)
def test_the_shell_completes_topics_and_methods(words: str, found: set[str]) -> None:
    verb, *before, incomplete = words.split()
    context = VERBS[verb].make_context(verb, [], resilient_parsing=True)
    wanted = "method" if before else "topic"
    (parameter,) = (parameter for parameter in VERBS[verb].params if parameter.name == wanted)
    assert {item.value for item in parameter.shell_complete(context, incomplete)} == found


def test_options_stand_where_they_belong() -> None:
    text = onnxbound("analyze", "--help").stdout
    places = [text.index(word) for word in ("Arguments:", "Rows:", "--data", "Options:", "--test", "Output:", "--json")]
    assert places == sorted(places)
