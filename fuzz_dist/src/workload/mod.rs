//! Operations, client and checkers that belong together.

// PLACEHOLDERS, until the real ones come.

/// A workload. (Placeholder.)
pub trait Workload: Send + Sync + 'static {}

/// A workload of any type. (Placeholder.)
pub type AnyWorkload = Box<dyn Workload>;

/// Forgets the type. (Placeholder.)
pub fn any_workload(workload: impl Workload) -> AnyWorkload {
    Box::new(workload)
}
