"""Energy in everyday terms: ranges of kilowatt-hours, emissions, cost and things people know.

Pure, of the standard library alone. ``measured`` says what a figure is of and refuses what it
cannot be of; ``factors`` reads what others have published (``data/*.csv``, each row with its
source); ``terms`` multiplies the two.

**What a range is.** A measured figure is value ± U, U expanded (k = 2). A factor is a low and a
high published value: two scenarios, of which nobody says how likely they are. A range here goes
from (value − U) × the low factors to (value + U) × the high ones: all that figure and factors
allow together. Scenarios are not put together in squares, as chance would be.
"""
