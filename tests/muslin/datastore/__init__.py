"""Tests of muslin.datastore."""
