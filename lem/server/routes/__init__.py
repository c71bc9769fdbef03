"""One file per resource; each route only binds a request to what ``lem.archive`` does."""
