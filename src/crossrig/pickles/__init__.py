"""Pickles of strangers, and the archives of torch around them: read as plain data, without executing anything in them."""
