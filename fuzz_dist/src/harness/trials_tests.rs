//! Names and cells of matrices.
