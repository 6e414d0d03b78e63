"""Mutation testing: what is changed, how the tests are run against it, and which changes may live."""
