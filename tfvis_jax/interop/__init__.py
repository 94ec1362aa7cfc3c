"""Dictionaries, features and tables in the forms of other tools, a module each."""
