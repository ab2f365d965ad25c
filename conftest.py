"""What all of the suite shares."""

pytest_plugins = ["pytester"]
