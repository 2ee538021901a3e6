"""What Binder reads, and a rehearsal of what it does with that."""
