"""Netlink without a library: codecs that only pack and parse, and one socket."""
