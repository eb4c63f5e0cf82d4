"""Tests of muslin.ipam."""
