"""The pages of the public face: each reads the archive and says what is to be shown."""
