"""Exit code 0 when the API says that it is well. What is printed goes into the container's health log."""

import os
import sys
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

try:
    with urlopen(f"http://127.0.0.1:{os.environ['PORT']}/health", timeout=2.5) as answer:
        print(answer.read().decode())
except HTTPError as answer:
    sys.exit(answer.read().decode())
except (URLError, TimeoutError) as failure:
    sys.exit(f"no answer: {failure}")
