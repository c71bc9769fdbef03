"""From a campaign's folder to a signed submission: what may leave, keys, outbox, client."""
