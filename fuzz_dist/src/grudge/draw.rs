//! Ways to draw a grudge: majority and minority, rings, bridges, data centres.

use super::{Grudge, majority, minority};
use crate::op::Name;
use crate::random::Stream;

/// What a partition needs to know of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: Name,
    /// Its data centre; a node without one is its own.
    pub group: Option<Name>,
    /// Does it lead, as far as its database knows?
    pub primary: bool,
}

impl Member {
    /// A node without data centre that leads nothing.
    pub fn new(name: impl Into<Name>) -> Member {
        Member { name: name.into(), group: None, primary: false }
    }
}

/// A way to partition the nodes of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Partition {
    /// A random majority apart from the remaining minority.
    MajorityMinority,
    /// Two halves; of an odd number of nodes one half has one more.
    Halves,
    /// Every node sees a majority, no two nodes see the same one.
    MajorityRing,
    /// Two halves and one node that sees both.
    Bridge,
    /// One random node apart from all others.
    IsolateNode,
    /// Every node apart from every other.
    IsolateAll,
    /// One random data centre, every node of it, apart from the others.
    IsolateGroup,
    /// The nodes that lead apart from the others and from each other.
    Primaries,
    /// One random node is not heard by another half, but hears it.
    OneWay,
    /// One random link, both directions.
    Link,
    /// Exactly this.
    Custom(Grudge),
}

/// Why there is no such partition of these nodes, and what to use instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionError {
    /// Too few nodes.
    #[error("a {partition} partition needs at least {need} nodes, and there are {have}; {instead}")]
    TooFewNodes {
        /// Its name.
        partition: &'static str,
        /// At least.
        need: usize,
        /// Those that there are.
        have: usize,
        /// What to do.
        instead: &'static str,
    },
    /// Nothing would be cut.
    #[error("a {partition} partition of these nodes cuts nothing: {why}")]
    CutsNothing {
        /// Its name.
        partition: &'static str,
        /// The reason.
        why: String,
    },
    /// A grudge of another cluster.
    #[error("the custom grudge is one of {have} nodes, but the test has {need}")]
    OtherSize {
        /// Nodes of the test.
        need: usize,
        /// Nodes of the grudge.
        have: usize,
    },
}

crate::error::becomes_an_error![PartitionError];

impl Partition {
    /// The name that selects it.
    pub const fn name(&self) -> &'static str {
        match self {
            Partition::MajorityMinority => "majority_minority",
            Partition::Halves => "halves",
            Partition::MajorityRing => "majority_ring",
            Partition::Bridge => "bridge",
            Partition::IsolateNode => "isolate_node",
            Partition::IsolateAll => "isolate_all",
            Partition::IsolateGroup => "isolate_dc",
            Partition::Primaries => "primaries",
            Partition::OneWay => "one_way",
            Partition::Link => "link",
            Partition::Custom(_) => "custom",
        }
    }

    /// Draws a grudge and validates it: it cuts something, is symmetric unless declared
    /// one-way, and a ring keeps its majorities and distinguishes its nodes.
    ///
    /// # Errors
    ///
    /// [`PartitionError`], where there is no such partition of these nodes.
    pub fn draw(&self, members: &[Member], random: &mut Stream) -> Result<Grudge, PartitionError> {
        let n = members.len();
        let need = match self {
            Partition::MajorityMinority | Partition::Bridge => 3,
            Partition::MajorityRing => 4,
            Partition::Primaries | Partition::IsolateGroup | Partition::Custom(_) => 0,
            _ => 2,
        };
        if n < need {
            let instead = match self {
                Partition::MajorityRing => {
                    "3 nodes have no symmetric ring with distinct majorities: use `bridge`"
                }
                _ => "raise `nodes`",
            };
            return Err(PartitionError::TooFewNodes {
                partition: self.name(),
                need,
                have: n,
                instead,
            });
        }
        let mut order: Vec<usize> = (0..n).collect();
        random.shuffle(&mut order);
        let grudge = match self {
            Partition::MajorityMinority => split(&order, minority(n)),
            Partition::Halves => split(&order, n / 2),
            Partition::MajorityRing => ring(&order),
            Partition::Bridge => bridge(&order),
            Partition::IsolateNode => split(&order, 1),
            Partition::IsolateAll => Grudge::complete(n, &[]),
            Partition::IsolateGroup => isolate_group(members, &order)?,
            Partition::Primaries => primaries(members)?,
            Partition::OneWay => {
                let deaf = &order[1..1 + (n / 2).max(1)];
                deaf.iter().fold(Grudge::none(n), |g, to| g.cut(order[0], *to))
            }
            Partition::Link => Grudge::none(n).cut_both(order[0], order[1]),
            Partition::Custom(grudge) => grudge.clone(),
        };
        self.validate(grudge, n)
    }

    fn validate(&self, grudge: Grudge, n: usize) -> Result<Grudge, PartitionError> {
        if grudge.nodes() != n {
            return Err(PartitionError::OtherSize { need: n, have: grudge.nodes() });
        }
        if !grudge.is_effective() {
            return Err(PartitionError::CutsNothing {
                partition: self.name(),
                why: "the grudge is empty".into(),
            });
        }
        let one_way = matches!(self, Partition::OneWay | Partition::Custom(_));
        assert!(one_way || grudge.is_symmetric(), "{} must be symmetric", self.name());
        if *self == Partition::MajorityRing {
            assert!(grudge.majorities() && grudge.views_differ(), "not a majorities ring");
        }
        Ok(grudge)
    }
}

/// The first `k` of `order` apart from the rest.
fn split(order: &[usize], k: usize) -> Grudge {
    Grudge::complete(order.len(), &[order[..k].to_vec(), order[k..].to_vec()])
}

fn bridge(order: &[usize]) -> Grudge {
    let n = order.len();
    let half = n / 2;
    let (left, right) = (&order[..half], &order[half + 1..]);
    let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b)));
    pairs.fold(Grudge::none(n), |g, (a, b)| g.cut_both(a, b))
}

/// Links every node of the circle `order` with its k = ⌊(m−1)/2⌋ next neighbours on either side
/// (m = majority), plus the opposite one when m−1 is odd and n is even. When n and m−1 are both
/// odd no exact solution exists, since n·(m−1) ends of links would be odd: k+1 neighbours then,
/// so that each node sees m+1.
fn ring(order: &[usize]) -> Grudge {
    let n = order.len();
    let others = majority(n) - 1;
    let opposite = others % 2 == 1 && n.is_multiple_of(2);
    let k = if others % 2 == 1 && !opposite { others / 2 + 1 } else { others / 2 };
    let mut grudge = Grudge::none(n);
    for i in 0..n {
        for j in 0..i {
            let apart = (i - j).min(n - (i - j));
            if apart > k && !(opposite && apart == n / 2) {
                grudge = grudge.cut_both(order[i], order[j]);
            }
        }
    }
    grudge
}

fn isolate_group(members: &[Member], order: &[usize]) -> Result<Grudge, PartitionError> {
    let chosen = order.first().map(|i| &members[*i]);
    let inside = |m: &Member| {
        chosen.is_some_and(|c| m.name == c.name || (m.group.is_some() && m.group == c.group))
    };
    let (group, rest): (Vec<usize>, Vec<usize>) =
        (0..members.len()).partition(|i| inside(&members[*i]));
    if rest.is_empty() {
        return Err(PartitionError::CutsNothing {
            partition: "isolate_dc",
            why: "all nodes are in one data centre; use `isolate_node` or a topology with several"
                .into(),
        });
    }
    Ok(Grudge::complete(members.len(), &[group, rest]))
}

fn primaries(members: &[Member]) -> Result<Grudge, PartitionError> {
    let (leaders, rest): (Vec<usize>, Vec<usize>) =
        (0..members.len()).partition(|i| members[*i].primary);
    if leaders.is_empty() || members.len() < 2 {
        return Err(PartitionError::CutsNothing {
            partition: "primaries",
            why: "the database names no node that leads".into(),
        });
    }
    let mut components: Vec<Vec<usize>> = leaders.into_iter().map(|l| vec![l]).collect();
    components.push(rest);
    Ok(Grudge::complete(members.len(), &components))
}
