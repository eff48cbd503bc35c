//! Did-you-mean: the known word nearest to what was written.

/// The candidate nearest to `word`, if near enough to be a likely slip.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), *candidate))
        .min()
        .filter(|(d, candidate)| *d <= candidate.len().max(word.len()).div_ceil(3))
        .map(|(_, candidate)| candidate)
}
