"""How right the meters are: known truth beside what is reported, by lem and by others."""
