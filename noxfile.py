"""Sessions: `nox` runs what a change must pass; `nox --list` shows the longer ones."""

import os
import shutil
from itertools import chain
from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests", "clean_install", "browser", "site"]
nox.options.error_on_external_run = True
nox.options.reuse_existing_virtualenvs = True

os.environ["PIP_NO_COMPILE"] = "1"  # half of an installation's time; what is imported is compiled then
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # scripts and tests import onnxruntime before onnxbound, which sets it too

PROJECT = nox.project.load_toml("pyproject.toml")
SIDE_BY_SIDE = ("-n", "logical", "--dist", "worksteal")
"""Tests in as many processes as there are cores..."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""...each with one thread for matrix products, since two would wait for each other."""

LOOSELY = "--config-file=", "--explicit-package-bases", "--ignore-missing-imports", "--disable-error-code=misc"

ANALYZE_EXAMPLE = (
    "analyze", "fixtures/cifar10_cnn.onnx", "--data", "fixtures/data/cifar10.npz", "--layout", "nhwc",
    "--scale", "1/255", "--mean", "0.4914,0.4822,0.4465", "--std", "0.2471,0.2435,0.2616",
)  # fmt: skip


def group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff's rules and format, the boundaries between folders, and mypy, strict."""
    session.install("-e", ".", *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": "."})
    session.run("mypy")
    # What no test runs is at least checked against the functions that it calls.
    session.run("mypy", "benchmarks", "fuzz", "reproduce", *LOOSELY)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests that need nothing but the project; arguments go to pytest."""
    session.install("-e", ".", *group("test"))
    session.run("pytest", *(session.posargs or SIDE_BY_SIDE), env=ONE_THREAD)


@nox.session
def oracle(session: nox.Session) -> None:
    """Every test, with PyTorch computing the oracle's arrays anew."""
    session.install("-e", ".", *group("test"), *group("torch"))
    session.run("pytest", *(session.posargs or SIDE_BY_SIDE), env=ONE_THREAD)


@nox.session
def minimums(session: nox.Session) -> None:
    """The tests with the oldest version of every dependency that pyproject.toml allows."""
    project = PROJECT["project"]
    extras = (lines for name, lines in project["optional-dependencies"].items() if name != "cuda")
    oldest = [line.replace(">=", "==") for line in (*project["dependencies"], *chain.from_iterable(extras))]
    session.install("-e", ".", *group("test"))
    session.install(*oldest)
    session.run("pytest", *(session.posargs or SIDE_BY_SIDE), env=ONE_THREAD)


@nox.session
def clean_install(session: nox.Session) -> None:
    """Build wheel and sdist, install each into an empty environment, and run the main job from an empty folder."""
    session.install("build")
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist), ".")
    here = Path.cwd()
    example = [str(here / word) if word.startswith("fixtures/") else word for word in ANALYZE_EXAMPLE]
    for built in sorted(dist.iterdir()):
        session.run("pip", "install", "--force-reinstall", "--no-deps", str(built))
        session.run("pip", "install", f"{built}[report]")
        with session.chdir(session.create_tmp()):
            session.run("onnxbound", "--version")
            session.run("python", "-m", "onnxbound", *example, "--json", "-q", "-o", "report.json", "--force")
            session.run("onnxbound", "report", "report.json", "-o", "report.html", "--plots", "plots", "--force")
            session.run("onnxbound", "explain", "onnxbound.report/1", silent=True)
    run_examples(session)


@nox.session
def browser(session: nox.Session) -> None:
    """Look at reports in Chromium, which Debian installs: no error, no overflow, accessible, hostile names inert."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        install_debian(session, "chromium")
        chromium = shutil.which("chromium")
    if chromium is None or shutil.which("npm") is None:
        session.skip("it needs Chromium and npm")
    session.install("-e", ".[report]", "pytest")
    folder = Path(session.create_tmp()).resolve()
    pages = session.run("python", "-m", "tests.browser.pages", str(folder), silent=True)
    for name in ("package.json", "check.mjs"):
        shutil.copy(Path("tests/browser") / name, folder)
    session.run("npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), external=True, silent=True)
    session.run("node", str(folder / "check.mjs"), chromium, str(folder), *str(pages).split(), external=True)


@nox.session
def site(session: nox.Session) -> None:
    """The documentation as a site in build/site/html; a broken link, or any other warning, is an error."""
    session.install(*group("site"))
    pages = Path("build") / "site" / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    listed = session.run(
        "git", "ls-files", "*.md", "docs", "examples", "reproduce", "LICENSE", external=True, silent=True
    )
    for name in str(listed).splitlines():
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, pages / name)
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def changelog(session: nox.Session) -> None:
    """Print the changes since the last release, which are files in changes/."""
    session.install(*group("changelog"))
    session.run("towncrier", "build", "--draft", "--version", PROJECT["project"]["version"])


@nox.session
def languages(session: nox.Session) -> None:
    """The examples in other languages: a shell with jq, Node, C++."""
    session.install("-e", ".")
    run_examples(session)


def run_examples(session: nox.Session) -> None:
    """Run the examples whose tools are there, and name those whose are not."""
    if shutil.which("jq") is None:
        session.warn("no example is run: there is no jq")
        return
    node, compiler = shutil.which("node") or "-", shutil.which("g++") or "-"
    header = any(Path(root, "nlohmann/json.hpp").exists() for root in ("/usr/include", "/usr/local/include"))
    if not header and compiler != "-":
        install_debian(session, "nlohmann-json3-dev")
        header = Path("/usr/include/nlohmann/json.hpp").exists()
    if node == "-":
        session.warn("report.mjs is not run: there is no Node")
    if not header:
        session.warn("report.cpp is not run: there is no g++ with nlohmann-json")
        compiler = "-"
    session.run("python", "examples/check.py", node, compiler)


def install_debian(session: nox.Session, package: str) -> None:
    """Install a package where that is possible; where it is not, the session says what it leaves out."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        for words in (("update", "-q"), ("install", "-y", "-q", "--no-install-recommends", package)):
            session.run("apt-get", *words, external=True, silent=True, success_codes=range(256))


@nox.session
def regenerate(session: nox.Session) -> None:
    """Train the fixtures anew and compute their oracle arrays; arguments name the fixtures."""
    session.install("-e", ".", *group("test"), *group("torch"))
    session.run("python", "-m", "fixtures.regenerate", *session.posargs)
    session.run("python", "-m", "tests.oracle.write_oracles", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Ratios within one run, written to benchmarks/results.md."""
    session.install("-e", ".[distributed]", *group("benchmarks"))
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Property tests on examples drawn anew, 2,000 small nets, commands ended 90 times, and 100,000 mutants.

    Arguments go to the last.
    """
    session.install("-e", ".", *group("test"))
    session.run("pytest", "-m", "hypothesis", "--hypothesis-profile=random", "tests")
    session.run("python", "-m", "fuzz.theorems")
    session.run("python", "-m", "fuzz.kills")
    session.run("python", "-m", "fuzz", *session.posargs)


@nox.session
def forge(session: nox.Session) -> None:
    """Certificates forged at random for ten minutes, or `-- --seconds N`: none may verify with a false bound."""
    session.install("-e", ".", *group("test"))
    session.run("python", "-m", "fuzz.forge", *session.posargs)
    session.run("python", "-m", "fuzz.folders")


@nox.session
def audit(session: nox.Session) -> None:
    """Look the newest dependencies up among known vulnerabilities, which needs the network, and check the workflow."""
    extras = (lines for name, lines in PROJECT["project"]["optional-dependencies"].items() if name != "cuda")
    session.install(*PROJECT["project"]["dependencies"], *chain.from_iterable(extras), *group("audit"))
    session.run("zizmor", "--offline", "examples/github-action.yml")
    # Strict: a package that could not be looked up is a failure, not a pass.
    session.run("pip-audit", "--local", "--strict", "--progress-spinner", "off")


@nox.session
def certificates(session: nox.Session) -> None:
    """Certify the nets in fixtures/certified on the full sets, which ONNXBOUND_TEST_DATA leads to."""
    session.install("-e", ".", *group("benchmarks"))
    session.run("python", "-m", "benchmarks.certificates", *session.posargs)


ZOO = {
    "torch": ["torch==2.13.0", "onnx", "onnxscript"],
    "sklearn": ["scikit-learn", "skl2onnx", "onnx"],
    "keras": ["tensorflow", "tf2onnx", "onnx"],
    "jax": ["jax", "flax", "jax2onnx", "onnx"],
    "paddle": ["paddlepaddle", "paddle2onnx", "onnx"],
}


@nox.session
@nox.parametrize("framework", list(ZOO))
def zoo(session: nox.Session, framework: str) -> None:
    """Write every net of a framework's part of the zoo to build/zoo, with what the framework computes."""
    session.install("numpy", *ZOO[framework])
    session.run("python", "-m", f"fixtures.zoo.from_{framework}", str(Path("build") / "zoo" / framework))
