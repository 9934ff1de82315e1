"""The help of every verb: options by purpose, and examples that are commands of it."""

import re
import shlex

import pytest

from onnxbound.cli.examples import EXAMPLES
from onnxbound.graph.load import load
from tests.cli.command import VERBS, onnxbound
from tests.oracle.models import FIXTURES


def test_every_verb_has_two_examples() -> None:
    assert list(EXAMPLES) == list(VERBS)
    assert {len(examples) for examples in EXAMPLES.values()} == {2}


def test_every_summary_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = onnxbound("--help").stdout
    assert max(map(len, text.splitlines())) <= 60
    words = " ".join(text.split())
    assert all(" ".join(str(verb.help).split()) in words for verb in VERBS.values())


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


@pytest.mark.parametrize("words", [["mnist_mlp.onnx"], ["manifest.json"], []])
def test_the_shell_completes_layers(words: list[str]) -> None:
    line = [*(str(FIXTURES / word) for word in words), "-o", "out.onnx", "--layer"]
    context = VERBS["compress"].make_context("compress", line, resilient_parsing=True)
    (parameter,) = (parameter for parameter in VERBS["compress"].params if parameter.name == "layer")

    def completed(incomplete: str) -> list[str]:
        return [item.value for item in parameter.shell_complete(context, incomplete)]

    names = [layer.name for layer in load(FIXTURES / words[0]).layers] if words == ["mnist_mlp.onnx"] else []
    assert completed("") == names
    assert all(completed(name) == [name] for name in names)


def test_options_stand_where_they_belong() -> None:
    text = onnxbound("analyze", "--help").stdout
    places = [text.index(word) for word in ("Arguments:", "Rows:", "--data", "Options:", "--test", "Output:", "--json")]
    assert places == sorted(places)
