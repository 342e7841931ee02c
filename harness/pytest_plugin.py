# SPDX-License-Identifier: Apache-2.0
"""pytest plugin: `pytest --rig rigs/ebus-lfp.toml` gives tests a booted controller and judges what they do to it.

Fixtures: `bms` (a Bench over a booted session, one firmware copy for the whole test session). Marker:
`requirement("PRT-OV-3")` names what a test is about; ids, outcomes and margins go into the JUnit file. Scenario files
(*.toml) named on the command line are collected as tests. A failing test prints the command that repeats it.
Loaded in every pytest run of an environment that has bms-harness, so it imports nothing heavy by itself.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.rig.session import Run, Session
    from harness.scenario import Scenario
    from harness.verdict import Verdict


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rig` and `--rig-sanitize`."""
    group = parser.getgroup("bms-harness")
    group.addoption("--rig", metavar="RIG", help="rig file, or name of a shipped rig, for the 'bms' fixture")
    group.addoption("--rig-sanitize", action="store_true", help="run its firmware under AddressSanitizer and UBSan")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, so that --strict-markers accepts it."""
    config.addinivalue_line("markers", "requirement(id, ...): the requirements this test is evidence for")


class Bench:
    """A booted controller to play scenarios on; every run is judged and recorded into the test's report."""

    def __init__(self, session: Session, request: pytest.FixtureRequest, folder: Path) -> None:
        self.session = session
        self._request = request
        self._folder = folder
        self._replay: dict[Scenario, str] = {}

    @property
    def requirements(self) -> tuple[str, ...]:
        """The requirement ids of this test's markers."""
        marks = self._request.node.iter_markers("requirement")
        return tuple(str(identifier) for mark in marks for identifier in mark.args)

    def run(self, scenario: Scenario) -> Run:
        """Play a scenario and record the verdicts of the marked requirements (all of them without a mark).

        Raises RigError for a scenario the rig cannot play.
        """
        from harness.scenario import dump_scenario  # noqa: PLC0415 - heavy, see the module text

        path = self._folder / f"scenario-{len(self._replay) + 1}.toml"
        path.write_text(dump_scenario(scenario), encoding="utf-8")
        self._replay[scenario] = _replay_command(path, self._request.config)
        run = self.session.run(scenario)
        wanted = set(self.requirements) or {verdict.requirement for verdict in run.verdicts}
        _record(self._request.node, [verdict for verdict in run.verdicts if verdict.requirement in wanted])
        told = "\n".join(filter(None, [f"repeat with: {self._replay[scenario]}", _failures_text(run)]))
        self._request.node.add_report_section("call", "bms-harness", told)
        return run

    def inject(
        self, fault: str, *, at_s: float = 2.0, duration_s: float = 10.0, start: str = "drive", **parameters: Any
    ) -> Run:
        """Play one fault, as `bms-harness inject` does. An unknown fault or parameter fails the test, in one line."""
        from harness.scenario import Scenario  # noqa: PLC0415 - heavy, see the module text

        action = {"at_s": at_s, "fault": fault, **parameters}
        rig = self.session.rig.name
        scenario = Scenario.model_validate({"rig": rig, "start": start, "duration_s": duration_s, "action": [action]})
        with _as_failure():
            return self.run(scenario)

    def check(self, run: Run) -> None:
        """Fail the test unless every marked requirement passed (without marks: unless none failed)."""
        from harness.verdict import Outcome  # noqa: PLC0415 - see the module text

        if run.error:
            self._fail([run.error], run)
        marked = self.requirements
        told = [
            f"{verdict.requirement} {verdict.outcome.value}: {verdict.reason}"
            for verdict in run.verdicts
            if verdict.outcome in (Outcome.FAIL, Outcome.ERROR)
            or (verdict.requirement in marked and verdict.outcome is not Outcome.PASS)
        ]
        known = {verdict.requirement for verdict in run.verdicts}
        told += [f"the rig has no requirement {name}" for name in marked if name not in known]
        if told:
            self._fail(told, run)

    def _fail(self, told: list[str], run: Run) -> NoReturn:
        command = self._replay.get(run.scenario)
        pytest.fail("\n".join([*told, f"repeat with: {command}"] if command else told), pytrace=False)


@pytest.fixture(scope="session")
def rig_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """The rig named by --rig, its firmware built and loaded once."""
    name = request.config.getoption("--rig")
    if not name:
        pytest.fail("this test needs a rig: run pytest with --rig RIG (e.g. --rig ebus-lfp)", pytrace=False)
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - heavy, see the module text
    from harness.rig.session import Session  # noqa: PLC0415 - see above

    sanitize = bool(request.config.getoption("--rig-sanitize"))
    with _as_failure():
        session = Session(load_rig(find_rig(name)), sanitize=sanitize)
    with session:
        yield session


@pytest.fixture
def bms(rig_session: Session, request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """A booted controller; every scenario starts from the same restored state."""
    return Bench(rig_session, request, tmp_path)


@contextmanager
def _as_failure() -> Generator[None]:
    """An expected error as one readable line instead of a traceback."""
    try:
        yield
    except HarnessError as error:
        pytest.fail(str(error), pytrace=False)


def _record(node: pytest.Item, verdicts: Iterable[Verdict]) -> None:
    for verdict in verdicts:
        node.user_properties.append(("requirement", verdict.requirement))
        node.user_properties.append((f"{verdict.requirement}.outcome", verdict.outcome.value))
        for unit, value in verdict.margin.items():
            node.user_properties.append((f"{verdict.requirement}.margin_{unit}", f"{value:.6g}"))


def _failures_text(run: Run) -> str:
    if run.error:
        return run.error
    return "\n".join(
        f"{v.requirement} {v.outcome.value}: {v.reason}" for v in run.verdicts if v.outcome.value in ("FAIL", "ERROR")
    )


def _replay_command(path: Path, config: pytest.Config) -> str:
    """On the rig of this run, found from any folder, whatever the file names."""
    import shlex  # noqa: PLC0415 - only where a scenario was played

    rig = str(config.getoption("--rig"))
    rig = str(Path(rig).resolve()) if Path(rig).is_file() else rig
    more = ["--sanitize"] if config.getoption("--rig-sanitize") else []
    return shlex.join(["bms-harness", "replay", str(path), "--rig", rig, *more])


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.Collector | None:
    """Scenario files named on the command line are tests, on the rig of --rig."""
    if file_path.suffix != ".toml" or file_path.resolve() not in _named(parent.config):
        return None
    if parent.config.getoption("--rig") or _is_scenario(file_path):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


def _is_scenario(path: Path) -> bool:
    """Whether a file says which rig it is for; other TOML files are none of our business."""
    lines = path.read_bytes().decode(errors="replace").splitlines()
    return any(line.startswith(("rig =", "rig=")) for line in lines)


def _named(config: pytest.Config) -> set[Path]:
    return {(config.invocation_params.dir / argument.partition("::")[0]).resolve() for argument in config.args}


class ScenarioFile(pytest.File):
    """A scenario file: one test."""

    def collect(self) -> Iterable[pytest.Item]:
        """The one item."""
        yield ScenarioItem.from_parent(self, name=self.path.stem)


class ScenarioItem(pytest.Item):
    """Plays the file on the rig of --rig; fails when a requirement fails, or when nothing was tested."""

    def runtest(self) -> None:
        """Play and judge."""
        from harness.rig import find_rig, load_rig  # noqa: PLC0415 - heavy, see the module text
        from harness.rig.session import Session  # noqa: PLC0415 - see above
        from harness.scenario import load_scenario  # noqa: PLC0415 - see above

        rig = self.config.getoption("--rig")
        if not rig:
            pytest.fail(f"{self.path.name} is a scenario: say which rig plays it, --rig RIG", pytrace=False)
        sanitize = bool(self.config.getoption("--rig-sanitize"))
        with _as_failure(), Session(load_rig(find_rig(rig)), sanitize=sanitize) as session:
            run = session.run(load_scenario(self.path, session.bounds))
        _record(self, run.verdicts)
        text = _failures_text(run) or "\n".join(
            f"fault {fault.label} did not fire: it changed nothing the controller was given"
            for fault in run.trace.faults
            if not fault.fired
        )
        if text:
            pytest.fail(f"{text}\nrepeat with: {_replay_command(self.path, self.config)}", pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where pytest says this test is."""
        return self.path, None, f"scenario {self.name}"
