//! The rules of the code that no compiler checks: layers, file sizes, the home of `unsafe`.
