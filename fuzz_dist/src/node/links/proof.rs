//! What a look at the links showed, and which of them it had to show.

use super::Link;
use crate::grudge::Grudge;
use crate::op::Value;

/// The most links that evidence names of a kind.
const NAMED_MAX: usize = 64;

/// Which links a proof is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    All,
    /// Those that this grudge cuts are cut, and those that nothing cuts are open.
    Cut(&'a Grudge),
    /// Those that this grudge cut are open, but for what else cuts them.
    Open(&'a Grudge),
}

/// What one link is to a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The proof has to show its state.
    Own,
    /// It is shown where it stays open meanwhile.
    Beside,
    Nothing,
}

impl Scope<'_> {
    pub(super) fn part(self, (from, to): Link, cut: bool) -> Part {
        match self {
            Scope::All => Part::Own,
            Scope::Cut(grudge) if grudge.drops(to, from) => Part::Own,
            Scope::Cut(_) if !cut => Part::Beside,
            Scope::Open(grudge) if grudge.drops(to, from) && !cut => Part::Own,
            _ => Part::Nothing,
        }
    }

    /// Is it no longer this proof's link, since it was opened before the proof was complete?
    pub(super) fn is_undone(self, link: Link, cut: bool) -> bool {
        matches!(self, Scope::Cut(_)) && !cut && self.part(link, cut) == Part::Own
    }
}

/// What a look at the links showed; see [`Links::prove`](super::Links::prove).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub(super) expected: Grudge,
    pub(super) epoch: u64,
    /// Of all nodes, by their ids.
    pub(super) names: Vec<String>,
    /// Those that took part.
    pub(super) members: Vec<usize>,
    /// Links that should be cut and are not.
    pub(super) leaks: Vec<Link>,
    /// Links over which nothing came although they should be open, or on which no drop was counted
    /// although they should be cut.
    pub(super) silent: Vec<Link>,
    /// Links that were cut and opened all the time.
    pub(super) changing: Vec<Link>,
    /// Links of a partition that was removed before it was proved.
    pub(super) undone: Vec<Link>,
    /// It is about a cut of which no link is left, since its nodes have left.
    pub(super) is_of_nothing: bool,
    /// Why the environment did not install what acts.
    pub(super) refused: Option<String>,
}

impl Proof {
    /// Is every link as expected? `Some(false)` where one that should be cut carries packets, `None`
    /// where the state of one was not seen.
    pub fn holds(&self) -> Option<bool> {
        let unseen = [&self.silent, &self.changing, &self.undone];
        if !self.leaks.is_empty() {
            Some(false)
        } else if self.is_of_nothing
            || self.refused.is_some()
            || unseen.iter().any(|links| !links.is_empty())
        {
            None
        } else {
            Some(true)
        }
    }

    /// The number of changes of the network before the state that this proves.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the network was to drop in that state; nodes are counted by their ids.
    pub fn expected(&self) -> &Grudge {
        &self.expected
    }

    /// The matrix that was expected and its epoch, the links that differ (64 of each kind are
    /// named, others are counted).
    pub fn evidence(&self) -> Value {
        let row = |to: usize| -> String {
            let dropped = |from: &usize| if self.expected.drops(to, *from) { 'x' } else { '.' };
            self.members.iter().map(dropped).collect()
        };
        let matrix = self.members.iter().map(|to| format!("{} {}", self.names[*to], row(*to)));
        let named = |links: &[Link]| Value::list(self.named(links));
        let mut evidence = vec![
            ("matrix", Value::list(matrix)),
            ("epoch", Value::Int(self.epoch as i64)),
            ("leaks", named(&self.leaks)),
            ("silent", named(&self.silent)),
        ];
        let seldom = [("changing", &self.changing), ("undone", &self.undone)];
        let seldom = seldom.into_iter().filter(|(_, links)| !links.is_empty());
        evidence.extend(seldom.map(|(name, links)| (name, named(links))));
        evidence.extend(self.refused.clone().map(|why| ("refused", why.into())));
        Value::map(evidence)
    }

    fn named(&self, links: &[Link]) -> Vec<String> {
        let name = |(from, to): &Link| format!("{} -> {}", self.names[*from], self.names[*to]);
        let mut named: Vec<String> = links.iter().take(NAMED_MAX).map(name).collect();
        if links.len() > NAMED_MAX {
            named.push(format!("and {} more", links.len() - NAMED_MAX));
        }
        named
    }
}
