"""What `run.py` is made of. Suites import `raw` and `suite` only."""
