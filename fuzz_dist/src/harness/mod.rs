//! From registered tests to libtest-mimic trials.
