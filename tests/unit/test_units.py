import pytest

from upstroke.errors import UnitError
from upstroke.units import KINDS, format_quantity, parse


@pytest.mark.parametrize(("text", "kind", "value"), [
    ("0.2 mm", "length", 0.02),          # exactly: 0.2 * 0.1 would give 0.020000000000000004
    ("100um", "length", 0.01),
    ("20 µm", "length", 0.002),          # the micro sign
    ("20 μm", "length", 0.002),          # the Greek letter
    ("  .5   s ", "time", 500.0),
    ("1e-6 mV", "voltage", 1e-6),
    ("-85.23 mV", "voltage", -85.23),
    ("140 /mm", "surface_to_volume", 1400.0),
    ("140/mm", "surface_to_volume", 1400.0),
    ("140 1/mm", "surface_to_volume", 1400.0),
    ("140 mm^-1", "surface_to_volume", 1400.0),
    ("140 mm**-1", "surface_to_volume", 1400.0),
    ("140 mm-1", "surface_to_volume", 1400.0),
    ("140 mm⁻¹", "surface_to_volume", 1400.0),
    ("0.17 S/m", "conductivity", 1.7),
    ("1 uF/cm^2", "capacitance", 1.0),
    ("0.01 uF/mm^2", "capacitance", 1.0),
    ("35.7 uA/cm^2", "current_density", 35.7),
    ("35.7 uA/cm2", "current_density", 35.7),       # as NEURON and UDUNITS write powers
    ("35.7 uA cm^-2", "current_density", 35.7),
    ("35.7 µA/cm²", "current_density", 35.7),
    ("35.7 uA·cm-2", "current_density", 35.7),
    ("50000 uA/cm^3", "volume_current", 50000.0),
    ("150 ohm cm", "resistivity", 0.15),            # ohm is mS^-1 in thousandths
    ("2 nA", "current", 0.002),
    ("310.15 kelvin", "temperature", 37.0),
    ("6.3 degC", "temperature", 6.3),
    ("5.4 mmol/L", "concentration", 5.4),
    ("100 nM", "concentration", 1e-4),
    ("2 Hz", "frequency", 0.002),
])
def test_parse(text: str, kind: str, value: float) -> None:
    assert parse(text, kind) == value


@pytest.mark.parametrize("kind", KINDS)
def test_internal_unit_is_exact_and_examples_are_accepted(kind: str) -> None:
    for value in (0.1 + 0.2, -1e-300, 1.7976931348623157e308, 5e-324, 3.0, 0.0):
        assert parse(format_quantity(value, kind), kind) == value
    parse(KINDS[kind].example, kind)
    for unit in KINDS[kind].units:
        parse(f"1 {unit}", kind)


def test_format() -> None:
    assert format_quantity(5.0, "time") == "5 ms"
    assert format_quantity(0.02, "length") == "0.02 cm"
    assert format_quantity(1e-6, "voltage") == "1e-06 mV"


EXAMPLE = '  -> for example "0.02 ms"'


@pytest.mark.parametrize(("given", "message"), [
    (5, '5 has no unit, expected a time\n  -> write "5 ms" or "5 s"'),
    (0.02, '0.02 has no unit, expected a time\n  -> write "0.02 ms" or "0.02 s"'),
    ("5", '"5" has no unit, expected a time\n  -> write "5 ms" or "5 s"'),
    (float("nan"), f"nan is not finite, expected a time\n{EXAMPLE}"),
    (True, f"expected a time with its unit, found True\n{EXAMPLE}"),
    (None, f"expected a time with its unit, found None\n{EXAMPLE}"),
    ("", f'"" does not start with a number, expected a time\n{EXAMPLE}'),
    ("ms", f'"ms" does not start with a number, expected a time\n{EXAMPLE}'),
    ("inf ms", f'"inf ms" does not start with a number, expected a time\n{EXAMPLE}'),
    ("1.2.3 ms", f'"1.2.3 ms" does not start with a number, expected a time\n{EXAMPLE}'),
    ("1_0 ms", f'cannot read the unit in "1_0 ms", expected a time\n{EXAMPLE}'),
    ("1,5 ms", f'cannot read the unit in "1,5 ms", expected a time\n{EXAMPLE}'),
    ("5 ms/", f'cannot read the unit in "5 ms/", expected a time\n{EXAMPLE}'),
    ("5 ms**9**9**9", f'cannot read the unit in "5 ms**9**9**9", expected a time\n{EXAMPLE}'),
    ("5 m)(s", f'cannot read the unit in "5 m)(s", expected a time\n{EXAMPLE}'),
    ("1e400 ms", f'"1e400 ms" is beyond the numbers a computer can hold\n{EXAMPLE}'),
    ("1e999999999 ms", f'"1e999999999 ms" is beyond the numbers a computer can hold\n{EXAMPLE}'),
    ("5 mss", 'unknown unit "mss" in "5 mss", expected a time\n  -> did you mean \'ms\'?'),
    ("5 bananas", f'unknown unit "bananas" in "5 bananas", expected a time\n{EXAMPLE}'),
    ("5 mm", f'"5 mm" is a length, not a time\n{EXAMPLE}'),
    ("5 ms ms", f'"5 ms ms" is not a time\n{EXAMPLE}'),
    ("5 mS", f'"5 mS" is a conductance, not a time\n{EXAMPLE}'),
])
def test_wrong_quantity(given: object, message: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse(given, "time")
    assert str(caught.value) == message
