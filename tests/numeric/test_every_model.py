"""Of every shipped model; to read them all takes seconds."""

import re
from pathlib import Path

import pytest
from samples import every_model

from upstroke.bench.statefile import read_state
from upstroke.bench.svfile import write_sv
from upstroke.ionic import initial_state, shipped_models
from upstroke.ionic.header import bibtex
from upstroke.ionic.spelling import like


def test_it_loads_and_names_its_paper() -> None:
    infos = shipped_models()
    assert {"tenTusscherPanfilov", "MitchellSchaeffer", "AlievPanfilov", "HodgkinHuxley"} <= {i.name for i in infos}
    for info in infos:
        model = every_model()[info.name]
        assert model.name == info.name
        assert info.title
        assert re.fullmatch(r"10\.\d{4,}/\S+", info.doi)
        assert list(initial_state(model)) == ["V", *(s.name for s in model.states)]
        assert bibtex(model.header)
        assert all(p.unit for p in model.parameters), "parameters state their unit"


@pytest.mark.parametrize("name", [info.name for info in shipped_models()])
def test_its_state_comes_back_from_opencarps_text(tmp_path: Path, name: str) -> None:
    model = every_model()[name]
    state, path = initial_state(model) | {"Iion": 0.25}, tmp_path / "cell.sv"
    write_sv(path, model, state)
    saved = read_state(path, model)
    lost = {"Courtemanche": {"Nai"}}.get(name, set())
    assert set(saved.values) == set(state) - {"Iion"} - lost
    assert {n: saved.values[n] for n in saved.values} == pytest.approx({n: state[n] for n in saved.values}, rel=1e-5)


def test_its_parameters_that_scripts_change_are_told_apart() -> None:
    """A model may have both f and F; of conductances there is one."""
    found = {word: 0 for word in ("gna", "g_Kr", "gks", "G_K1", "gcal", "g_to")}
    for info in shipped_models():
        names = [p.name for p in every_model()[info.name].parameters]
        for word in found:
            assert len(like(word, names)) <= 1, (info.name, word)
            found[word] += len(like(word, names))
    assert min(found.values()) >= 5
