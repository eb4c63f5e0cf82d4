"""What a reconciler is operated by: election, history, metrics, notices, pages."""
