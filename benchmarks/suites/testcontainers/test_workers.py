import by_hand
import pytest
from bench.suite import CONTEXT, TESTS, answer
from testcontainers.core.image import DockerImage


@pytest.fixture(scope="session")
def url():
    # Without clean_up=False each worker would remove the others' image.
    with DockerImage(path=CONTEXT, clean_up=False) as image, by_hand.service(str(image)) as container:
        yield by_hand.url(container)


@pytest.mark.parametrize("number", range(TESTS))
def test_it(url, number):
    answer(url)
