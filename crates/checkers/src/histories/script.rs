//! Small histories of sets in a line of text.

use super::Recorder;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Phase, Value};

/// The client of reads that name none.
const READER: u32 = 100;

/// A language for small histories of `add` and `read`, one word per event, a millisecond apart.
///
/// - `a5` client 5 invokes `add 5` (`a` is `a0`); `a5'` it is acknowledged, `a5!` it fails,
///   `a5?` nobody knows;
/// - `r2` client 2 invokes a read (`r` is one by client 100); `r2'{1,2}` it reads 1 and 2;
/// - `@2` after either sends that client to node n2 from then on; n1 is where all others are;
/// - `|quiesce`, `|final` begin a phase, `|heal` does so and records a proved heal.
#[derive(Clone, Copy, Debug)]
pub struct Script;

impl Script {
    /// The history that a text describes.
    ///
    /// ```
    /// # use fuzz_dist_checkers::histories::Script;
    /// let history = Script::parse("a1 r2@2 a1' r2'{1}");
    /// assert_eq!((history.len(), history.nodes().len()), (4, 2));
    /// ```
    ///
    /// # Panics
    ///
    /// With the word that it does not understand, or that describes an impossible event.
    pub fn parse(text: &str) -> History {
        let nodes = text
            .split_whitespace()
            .filter_map(|word| word.split_once('@')?.1.parse::<u16>().ok())
            .max()
            .unwrap_or(1);
        let mut recorder = Recorder::new((1..=nodes).map(|n| format!("n{n}")));
        for word in text.split_whitespace() {
            step(&mut recorder, word)
                .unwrap_or_else(|| panic!("`{word}` is no event; see Script for those that are"));
        }
        recorder.history()
    }
}

fn step(recorder: &mut Recorder, word: &str) -> Option<()> {
    if let Some(phase) = word.strip_prefix('|') {
        recorder.phase = Phase::ALL.into_iter().find(|p| p.as_str() == phase)?;
        if recorder.phase == Phase::Heal {
            recorder.heal(true);
        }
        return Some(());
    }
    let (word, node) = word.split_once('@').map_or((word, None), |(w, n)| (w, Some(n)));
    let digits = word[1..].find(|c: char| !c.is_ascii_digit()).map_or(word.len(), |i| i + 1);
    let (number, rest) = (&word[1..digits], &word[digits..]);
    let add = word.starts_with('a');
    let client = match number {
        "" if add => 0,
        "" => READER,
        number => number.parse().ok()?,
    };
    let client_id: u32 = client;
    if rest.is_empty() {
        let node = node.map_or(Some(0), |n| n.parse::<u16>().ok()?.checked_sub(1))?;
        recorder.bind(client_id, node);
    }
    match (add, rest) {
        (true, "") => recorder.invoke(client_id, "add", i64::from(client)),
        (true, "'") => recorder.done(client_id),
        (true, "!") | (false, "!") => recorder.fail(client_id),
        (true, "?") | (false, "?") => recorder.info(client_id),
        (false, "") if word.starts_with('r') => recorder.invoke(client_id, "read", Value::Nil),
        (false, value) => {
            let items = value.strip_prefix("'{")?.strip_suffix('}')?;
            let items = items.split(',').filter(|i| !i.is_empty());
            let items: Option<Vec<i64>> = items.map(|i| i.trim().parse().ok()).collect();
            recorder.ok(client_id, Value::set(items?))
        }
        _ => return None,
    };
    Some(())
}
