from __future__ import annotations

import os
import signal
import sys
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

from shop_common import Catalogue

from shop_api.handler import Handler, Shop
from shop_api.store import Store

DIST = Path("/app/dist")


def main() -> None:
    # The first process of a container is not ended by a signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    store_url, port = os.environ["STORE_URL"], int(os.environ["PORT"])
    shop = Shop(
        catalogue=Catalogue.read(DIST / "catalogue.json"),
        store=Store(store_url),
        version=os.environ["SHOP_VERSION"],
    )
    with ThreadingHTTPServer(("", port), partial(Handler, shop, directory=str(DIST / "client"))) as server:
        print(f"shop-api {shop.version} listens on port {port}, carts are in {store_url}")
        server.serve_forever()


if __name__ == "__main__":
    main()
