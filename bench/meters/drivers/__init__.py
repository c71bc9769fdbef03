"""One small program for each tool: it measures pieces of work that it is told on its stdin.

Each runs in the environment of its tool and uses it as its documentation says; the standard library
does the rest.
"""
