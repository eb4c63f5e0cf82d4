"""BGP messages as values: bytes to values and back, with no clock and no socket."""
