"""What every driver of the datastore protocol must do: run over each by `drivers.py`."""
