"""The parameters that algorithms take: one table, and a configuration that agrees with it."""

import subprocess
import sys

import pytest

from aegisml.sections import Algorithms
from models_app.choices import Algorithm
from models_app.ml import algorithms


def test_every_algorithm_has_a_name_parameters_and_a_section() -> None:
    assert set(Algorithm.values) == set(algorithms.PARAMETERS) == set(Algorithms.model_fields)


@pytest.mark.parametrize("name", list(algorithms.PARAMETERS))
def test_the_configuration_has_the_same_defaults(name: str) -> None:
    configured = getattr(Algorithms(), name).default_params.model_dump()
    assert configured.items() <= algorithms.defaults(name).items()
    assert algorithms.checked(name, configured) == configured


@pytest.mark.parametrize("name", list(algorithms.PARAMETERS))
def test_the_configuration_has_the_same_bounds(name: str) -> None:
    known = {parameter.name: parameter for parameter in algorithms.PARAMETERS[name]}
    section = type(getattr(Algorithms(), name).default_params)
    for key, field in section.model_fields.items():
        if known[key].kind in {"int", "float"}:
            bounds = {type(item).__name__: item for item in field.metadata}
            assert (bounds["Ge"].ge, bounds["Le"].le) == (known[key].low, known[key].high)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"max_depth": 3.0}, {"max_depth": 3}), ({"learning_rate": 1}, {"learning_rate": 1.0})],
)
def test_a_number_takes_the_kind_of_its_parameter(given: dict, expected: dict) -> None:
    found = algorithms.checked("xgboost", given)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(v) for v in expected.values()]


@pytest.mark.parametrize("value", ["Balanced", 1, None, True, ["none"]])
def test_a_choice_takes_nothing_else(value: object) -> None:
    with pytest.raises(algorithms.ParameterError, match="must be one of none, balanced"):
        algorithms.checked("random_forest", {"class_weight": value})


def test_every_wrong_parameter_is_named_at_once() -> None:
    with pytest.raises(algorithms.ParameterError) as caught:
        algorithms.checked("lstm", {"dropuot": 0.1, "epochs": 0, "hidden_units": 10})
    assert list(caught.value.problems) == ["dropuot", "epochs"]
    assert "did you mean 'dropout'" in caught.value.problems["dropuot"]


def test_asking_for_parameters_loads_no_library_of_machine_learning() -> None:
    code = (
        "import sys; from models_app.ml import algorithms; import training.ml.algorithms;"
        "print({'torch', 'sklearn', 'xgboost', 'onnx'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
