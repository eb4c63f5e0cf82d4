"""Moving everything from one datastore to another."""
