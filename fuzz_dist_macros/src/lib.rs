//! The attributes of `fuzz_dist`; see that crate for how they are used.
