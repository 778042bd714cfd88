"""The rules of the registry hold whatever is done to it, in any order."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from platemark.errors import DesignNotFound, DuplicateDesign, InvalidDesign
from platemark.registry import Registry
from platemark.types import StampMark

NAMES = st.sampled_from(["ACME", "acme", "O'Brien", "Ünïcode ☂", "%_", "x" * 500])
STAMPS = st.integers(0, 9)


@pytest.fixture
def machine(make_mark: Callable[..., StampMark]) -> type[RuleBasedStateMachine]:
    """A registry beside a plain dictionary of what must be in it."""

    class Rules(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.folder = Path(tempfile.mkdtemp())
            self.path = self.folder / "stamps.db"
            self.registry = Registry.open(self.path)
            self.stamps: dict[str, set[int]] = {}
            self.retired: set[str] = set()

        def teardown(self) -> None:
            self.registry.close()
            shutil.rmtree(self.folder)

        @rule(name=NAMES, stamp=STAMPS)
        def add(self, name: str, stamp: int) -> None:
            def act() -> object:
                return self.registry.add(name, make_mark(stamp), duplicates="allow")

            if name in self.retired:
                with pytest.raises(InvalidDesign):
                    act()
            else:
                act()
                self.stamps.setdefault(name, set()).add(stamp)

        @rule(old=NAMES, new=NAMES)
        def rename(self, old: str, new: str) -> None:
            if old not in self.stamps:
                with pytest.raises(DesignNotFound):
                    self.registry.rename(old, new)
            elif new in self.stamps and new != old:
                with pytest.raises(DuplicateDesign):
                    self.registry.rename(old, new)
            else:
                self.registry.rename(old, new)
                self.stamps[new] = self.stamps.pop(old)
                self.retired = {new if name == old else name for name in self.retired}

        @rule(name=NAMES, back=st.booleans())
        def retire(self, name: str, back: bool) -> None:
            act = self.registry.reinstate if back else self.registry.retire
            if name not in self.stamps:
                with pytest.raises(DesignNotFound):
                    act(name)
            else:
                act(name)
                self.retired = self.retired - {name} if back else self.retired | {name}

        @rule(name=NAMES)
        def remove(self, name: str) -> None:
            if name not in self.stamps:
                with pytest.raises(DesignNotFound):
                    self.registry.remove(name)
            else:
                self.registry.remove(name)
                del self.stamps[name]
                self.retired.discard(name)

        @rule(into=NAMES, other=NAMES)
        def merge(self, into: str, other: str) -> None:
            if into not in self.stamps or other not in self.stamps:
                with pytest.raises(DesignNotFound):
                    self.registry.merge(into, other)
            elif into == other:
                with pytest.raises(InvalidDesign):
                    self.registry.merge(into, other)
            else:
                self.registry.merge(into, other)
                self.stamps[into] |= self.stamps.pop(other)
                self.retired.discard(other)

        @rule(name=NAMES, new=NAMES)
        def split(self, name: str, new: str) -> None:
            if name not in self.stamps:
                return
            samples = self.registry.samples(name)
            if len(samples) < 2:
                with pytest.raises(InvalidDesign):
                    self.registry.split(name, [sample.id for sample in samples], new)
            elif new in self.stamps:
                with pytest.raises(DuplicateDesign):
                    self.registry.split(name, [samples[0].id], new)
            else:
                self.registry.split(name, [samples[0].id], new)
                own = {stamp for stamp in self.stamps[name] if self.sample_of(new, stamp)}
                assert len(own) == 1
                self.stamps[name] -= own
                self.stamps[new] = own

        def sample_of(self, name: str, stamp: int) -> bool:
            crop = make_mark(stamp).crop
            assert crop is not None
            samples = self.registry.samples(name)
            return any(
                (self.registry.picture(sample.id).ink == crop.ink).all() for sample in samples
            )

        @rule()
        def open_again(self) -> None:
            self.registry.close()
            self.registry = Registry.open(self.path)

        @precondition(lambda self: self.stamps)
        @rule()
        def move_to_another_file(self) -> None:
            self.registry.export(self.folder / "all.zip")
            self.registry.close()
            self.path.unlink()
            self.registry = Registry.open(self.path)
            self.registry.load(self.folder / "all.zip")

        @invariant()
        def holds_what_it_must(self) -> None:
            designs = self.registry.designs()
            assert {design.name: design.samples for design in designs} == {
                name: len(stamps) for name, stamps in self.stamps.items()
            }
            assert {design.name for design in designs if design.retired} == self.retired

        @rule(stamp=STAMPS)
        def find(self, stamp: int) -> None:
            active = {name for name, own in self.stamps.items() if own and name not in self.retired}
            found = self.registry.identify(make_mark(stamp), top_k=20, looks=0)
            assert {candidate.design.name for candidate in found} == active
            holders = {name for name in active if stamp in self.stamps[name]}
            if holders:
                assert found[0].design.name in holders
                assert found[0].similarity == pytest.approx(1.0, abs=1e-5)

    return Rules


def test_rules(machine: type[RuleBasedStateMachine]) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
