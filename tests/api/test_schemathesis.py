"""The API over a real socket, asked by schemathesis what its own description allows and what it does not."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.routes import description
from jobs.access.tokens import SCOPES, create
from jobs.project.clock import utc_now
from jobs.project.project import open_project
from tests.api.test_openapi import WORDS
from tests.api.test_resources import ROLES
from tests.conftest import REQUIRED, ROOT, Server, copied_demo
from tests.sampling import cases, sampled

if not (REQUIRED and "\nschemathesis==" in (ROOT / "requirements.lock").read_text()):
    pytest.importorskip("schemathesis", reason="pip install schemathesis asks the API what its description allows")

import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
TOKENS = 20  # of each role: one may ask ten times a second
# Whether an answer is as described. What is refused for its meaning (no such KPI, not our cursor), and a query that is
# wrong until it is written into an address, are no faults.
LEFT = ("positive_data_acceptance", "negative_data_rejection", "unsupported_method")
CALLS = cases(fast=20, slow=200, full=2100)


@dataclass
class Asking:
    """A server over the demo, operations of its description, and tokens in turn. seen: (operation, status) → calls."""

    url: str
    operations: list[Any]
    tokens: dict[str, itertools.cycle[str]]
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)

    def ask(self, case: Any, role: str) -> None:
        shown = {"Authorization": f"Bearer {next(self.tokens[role])}"}
        answer = case.call(base_url=self.url, headers=shown, timeout=60)
        self.seen[case.operation.label, answer.status_code] += 1
        assert answer.status_code != 429, "the test asks too often"
        case.validate_response(answer, excluded_checks=[CHECKS.get_one(name) for name in LEFT])


@pytest.fixture(scope="module")
def asking(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    folder = copied_demo(demo_folder, tmp_path_factory.mktemp("schemathesis") / "demo")
    with (folder / "settings.yml").open("a") as settings:
        settings.write(ROLES)
    store, now = open_project(folder).state, utc_now()

    def made(role: str, number: int) -> str:
        return create(store, f"t{role}{number}", [*SCOPES], timedelta(days=1), by="t", now=now, role=role).secret

    tokens = {role: itertools.cycle([made(role, number) for number in range(TOKENS)]) for role in ("", "emea")}
    server = Server(folder)
    schema = schemathesis.openapi.from_dict(description())
    schema.config.update(base_url=server.url)
    asked = Asking(server.url, [found.ok() for found in schema.get_all_operations()], tokens)
    yield asked
    server.stop()
    assert len(asked.operations) == sum(map(len, description()["paths"].values()))
    assert sum(asked.seen.values()) >= CALLS
    if CALLS >= 200:
        assert {status for _, status in asked.seen} >= {200, 401, 403, 404, 422}
        assert {name for name, _ in asked.seen} == {one.label for one in asked.operations}
    assert "Traceback" not in server.log.read_text()


def near(case: Any, chance: random.Random) -> None:
    """Some texts that the demo knows: they go further than noise."""
    for given_ in (case.path_parameters, case.query):
        for name, value in list((given_ or {}).items()):
            if not isinstance(value, int) and chance.random() < 0.6:
                word = chance.choice([word for word in WORDS if word.isprintable() and word.strip("./ ")])
                given_[name] = [word] if isinstance(value, list) else word


@sampled(fast=20, slow=200, full=2100, shrink=False)
@given(data=st.data())
def test_every_answer_is_as_the_description_has_it(asking: Asking, data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(asking.operations))
    mode = data.draw(st.sampled_from((GenerationMode.POSITIVE, GenerationMode.NEGATIVE)))
    case = data.draw(operation.as_strategy(generation_mode=mode))
    if mode is GenerationMode.POSITIVE:
        near(case, data.draw(st.randoms(use_true_random=False)))
    # A sync takes seconds; that one starts is tested elsewhere. Who sees a part is refused after all else is checked.
    asking.ask(case, "emea" if operation.method.upper() == "POST" else data.draw(st.sampled_from(("", "emea"))))
