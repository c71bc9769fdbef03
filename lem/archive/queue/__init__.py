"""Campaigns that wait for a runner, runners that claim them, and the people who queue them."""
