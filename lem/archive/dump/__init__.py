"""The archive as a folder of plain files that anyone can keep, cite, verify and set up anew."""
