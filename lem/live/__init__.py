"""What of a running campaign is shown live: events, their log, and everybody who watches."""
