"""From readings to joules with their uncertainty. All of it is pure: a trace in, figures out."""
