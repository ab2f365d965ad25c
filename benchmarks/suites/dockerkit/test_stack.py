"""Session containers as fixtures: a stack, whose services share one isolated network of the session's."""

from bench.suite import CONTAINERS, IMAGE, answer

from pytest_dockerkit import container_fixture

# Each test names its fixture, as in a suite that is written out, so that pytest knows it at collection.
TEST = "def test_{number}(service_{number}):\n    answer(service_{number}.url(80))\n"

for number in range(CONTAINERS):
    globals()[f"service_{number}"] = container_fixture(IMAGE, ports=[80], scope="session")
    exec(TEST.format(number=number), {"answer": answer}, globals())
