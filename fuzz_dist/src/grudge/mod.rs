//! The calculus of partitions: who drops whose packets.
//!
//! A [`Grudge`] maps a receiving node to the senders whose packets it drops (Jepsen's word and
//! meaning). A [`Partition`] is a way to draw one for the nodes of a test.

use std::fmt;

mod draw;
mod shape;

pub use draw::{Member, Partition, PartitionError};

/// The size of the smallest majority of `n` nodes: ⌊n/2⌋ + 1.
pub const fn majority(n: usize) -> usize {
    n / 2 + 1
}

/// The size of the largest minority of `n` nodes.
pub const fn minority(n: usize) -> usize {
    n - majority(n)
}

/// Who drops whose packets, among `n` nodes that are numbered from 0.
///
/// ```
/// # use fuzz_dist::grudge::Grudge;
/// let grudge = Grudge::complete(3, &[vec![0], vec![1, 2]]);
/// assert!(grudge.drops(0, 1) && !grudge.drops(2, 1));
/// ```
///
/// It is stored as its rows: one text for each receiving node, as its `Display` writes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub struct Grudge {
    n: usize,
    /// `drops[to * n + from]`
    drops: Vec<bool>,
}

impl Grudge {
    /// Nobody drops anything.
    pub fn none(n: usize) -> Grudge {
        Grudge { n, drops: vec![false; n * n] }
    }

    /// Everybody drops everybody outside of the own component. Nodes that no component names
    /// are components of their own.
    ///
    /// # Panics
    ///
    /// When a component names a node that does not exist.
    pub fn complete(n: usize, components: &[Vec<usize>]) -> Grudge {
        let mut component: Vec<usize> = (0..n).map(|i| components.len() + i).collect();
        for (c, members) in components.iter().enumerate() {
            for m in members {
                component[*m] = c;
            }
        }
        let mut grudge = Grudge::none(n);
        for to in 0..n {
            for from in 0..n {
                grudge.drops[to * n + from] = component[to] != component[from];
            }
        }
        grudge
    }

    /// Node `to` drops what `from` sends; the other direction stays as it is.
    #[must_use]
    pub fn cut(mut self, from: usize, to: usize) -> Grudge {
        assert!(from != to, "a node cannot be cut from itself");
        self.drops[to * self.n + from] = true;
        self
    }

    /// Both drop each other's packets.
    #[must_use]
    pub fn cut_both(self, a: usize, b: usize) -> Grudge {
        self.cut(a, b).cut(b, a)
    }

    /// The number of nodes.
    pub const fn nodes(&self) -> usize {
        self.n
    }

    /// Does `to` drop what `from` sends? Nodes beyond its own, which joined later, it does not cut.
    pub fn drops(&self, to: usize, from: usize) -> bool {
        to < self.n && from < self.n && self.drops[to * self.n + from]
    }

    /// The same for nodes of other numbers: what is said of node `i` here is said of node `ids[i]` among
    /// `n`, and of nobody else.
    pub(crate) fn among(&self, ids: &[usize], n: usize) -> Grudge {
        self.cuts().fold(Grudge::none(n), |all, (from, to)| all.cut(ids[from], ids[to]))
    }

    /// Can the two exchange packets in both directions?
    pub fn linked(&self, a: usize, b: usize) -> bool {
        !self.drops(a, b) && !self.drops(b, a)
    }

    /// Is anything dropped at all?
    pub fn is_effective(&self) -> bool {
        self.drops.contains(&true)
    }

    /// Is every cut one of both directions?
    pub fn is_symmetric(&self) -> bool {
        (0..self.n).all(|a| (0..a).all(|b| self.drops(a, b) == self.drops(b, a)))
    }

    /// The nodes that `node` can exchange packets with, itself included.
    pub fn sees(&self, node: usize) -> Vec<usize> {
        (0..self.n).filter(|other| *other == node || self.linked(node, *other)).collect()
    }

    /// Does every node see a majority?
    pub fn majorities(&self) -> bool {
        (0..self.n).all(|i| self.sees(i).len() >= majority(self.n))
    }

    /// Do no two nodes see the same nodes?
    pub fn views_differ(&self) -> bool {
        let mut views: Vec<_> = (0..self.n).map(|i| self.sees(i)).collect();
        views.sort();
        views.windows(2).all(|w| w[0] != w[1])
    }

    /// The directed links that are cut, as (from, to).
    pub fn cuts(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.n)
            .flat_map(move |from| (0..self.n).map(move |to| (from, to)))
            .filter(|(from, to)| self.drops(*to, *from))
    }

    /// Drops what either of the two drops: overlapping partitions. Where one is of fewer nodes, the others
    /// joined later.
    #[must_use]
    pub fn union(self, other: &Grudge) -> Grudge {
        let n = self.n.max(other.n);
        let mut all = if self.n == n { self } else { Grudge::none(n).union(&self) };
        for (from, to) in other.cuts() {
            all.drops[to * n + from] = true;
        }
        all
    }

    /// In one line, with the nodes' names: `{n1 n2} | {n3 n4 n5}`.
    pub fn shape(&self, names: &[impl AsRef<str>]) -> String {
        shape::describe(self, names)
    }
}

impl From<Grudge> for Vec<String> {
    fn from(grudge: Grudge) -> Vec<String> {
        grudge.to_string().lines().map(String::from).collect()
    }
}

impl TryFrom<Vec<String>> for Grudge {
    type Error = String;

    fn try_from(rows: Vec<String>) -> Result<Grudge, String> {
        let n = rows.len();
        let mut grudge = Grudge::none(n);
        for (to, row) in rows.iter().enumerate() {
            let well_formed = row.len() == n && row.bytes().all(|b| matches!(b, b'.' | b'x'));
            if !well_formed || row.as_bytes()[to] == b'x' {
                return Err(format!("\"{row}\" is not row {} of {n} of a grudge", to + 1));
            }
            for (from, byte) in row.bytes().enumerate() {
                grudge.drops[to * n + from] = byte == b'x';
            }
        }
        Ok(grudge)
    }
}

/// A reachability matrix: rows receive, columns send, `.` passes and `x` is dropped.
impl fmt::Display for Grudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for to in 0..self.n {
            for from in 0..self.n {
                f.write_str(if self.drops(to, from) { "x" } else { "." })?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
