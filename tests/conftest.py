"""What holds for every test."""

from contextlib import suppress

# The engines' images, where the backends' tests run too, come without it.
with suppress(ImportError):
    from hypothesis import settings

    # A test that is slow on a busy machine is not wrong.
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")
