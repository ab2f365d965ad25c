"""Memory: what has been made in this run, what is to be undone, and the handles that tests are given."""
