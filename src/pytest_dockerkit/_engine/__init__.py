"""Verbs on Docker. The only package that imports docker-py; its exceptions stop here."""
