"""Nouns: what a user asks for, frozen and checked when it is made. Nothing here talks to Docker."""
