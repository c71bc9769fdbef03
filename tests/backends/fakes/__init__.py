"""Stand-ins for engines that need a GPU, for the code that drives them: signatures, shapes and
order of events as documented, and no model. A test that passes with a fake says nothing of the
engine; ``docs/backends.md`` says what ran on the real ones."""
