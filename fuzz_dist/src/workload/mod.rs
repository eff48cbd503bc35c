//! Operations, client and checkers that belong together.
