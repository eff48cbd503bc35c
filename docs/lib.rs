//! The Rust code of the pages that people read, compiled as examples of documentation.

macro_rules! pages {
    ($($page:ident $file:literal)+) => {
        $(#[doc = include_str!(concat!("../", $file))] #[cfg(doctest)] struct $page;)+
    };
}

pages! {
    Readme "README.md"
    Architecture "ARCHITECTURE.md"
    Antidote "docs/antidote.md"
    Checkers "docs/checkers.md"
    Erlang "docs/erlang.md"
    Simulated "docs/simulated.md"
    Wire "docs/wire.md"
    YourDatabase "docs/your_database.md"
    YourRelease "docs/your_release.md"
}
