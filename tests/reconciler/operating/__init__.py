"""Tests of what a reconciler is operated by."""
