//! Named streams of random numbers, all derived from one seed.
