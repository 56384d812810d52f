"""The part of conda's command line that the roles and the book's reader use, over py-rattler."""

# The conda that the recorded behaviour belongs to, and the one in the installer's name.
VERSION = "26.1.1"
