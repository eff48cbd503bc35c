//! Faults as values: targets, durations, evidence, undo.

// PLACEHOLDERS, until the real ones come.

/// A nemesis. (Placeholder.)
pub trait Nemesis: Send + Sync + 'static {}

/// A nemesis of any type. (Placeholder.)
pub type AnyNemesis = Box<dyn Nemesis>;

/// Forgets the type. (Placeholder.)
pub fn any_nemesis(nemesis: impl Nemesis) -> AnyNemesis {
    Box::new(nemesis)
}
