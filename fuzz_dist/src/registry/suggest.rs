//! Did-you-mean: the known word nearest to what was written.
//!
//! This file stands in `fuzz_dist_macros` (keys) and in `fuzz_dist` (registered names), and a
//! test keeps the two alike.

/// The candidate nearest to `word`, if near enough to be a likely slip.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .min()
        .filter(|(d, candidate)| *d <= candidate.len().max(word.len()).div_ceil(3))
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: a swap of two neighbours counts once, since fingers do that.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
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
