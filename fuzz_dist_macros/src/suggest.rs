//! Did you mean: the known word nearest to what was written. (As in `fuzz_dist_checkers`, which a crate of macros
//! would have to compile first.)

/// The candidate nearest to `word`, if near enough to be a likely slip.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), *candidate))
        .min()
        .filter(|(d, candidate)| *d <= candidate.len().max(word.len()).div_ceil(3))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["bridge", "isolate_dc", "majority_minority", "majority_ring"];
        let check = |word, expected| assert_eq!(nearest(word, &known), expected, "{word}");
        check("majority_rung", Some("majority_ring"));
        check("bridge", Some("bridge"));
        check("birdge", Some("bridge"));
        check("isolatedc", Some("isolate_dc"));
        check("zzz", None);
        check("", None);
        assert_eq!(nearest("anything", &[]), None);
    }
}
