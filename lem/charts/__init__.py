"""Charts as data, and their drawings, tables and pictures. Pure: no archive, no campaign folder."""
