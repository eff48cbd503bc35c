//! The system under test.

// PLACEHOLDERS, until the real ones come.

/// A db. (Placeholder.)
pub trait Db: Send + Sync + 'static {}

/// A db of any type. (Placeholder.)
pub type AnyDb = Box<dyn Db>;

/// Forgets the type. (Placeholder.)
pub fn any_db(db: impl Db) -> AnyDb {
    Box::new(db)
}
