//! What a test needs on the machine before it can start: the Erlang runtime, releases.
