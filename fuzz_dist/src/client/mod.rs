//! How operations reach the system under test.
/// x
pub trait DynClient: Send {}
