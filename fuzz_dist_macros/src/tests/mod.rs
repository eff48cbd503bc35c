//! Messages and spans of the attributes, on token streams.
