//! The one rule by which names of modules and processes become atoms.

use super::term::Atom;

impl Atom {
    /// The atom that a module or a registered process of this name has.
    ///
    /// A name that begins with a capital is Elixir's, as its code has it: `Shop.Cart` is the atom
    /// `'Elixir.Shop.Cart'`. A name in single quotes is what stands between them, and every other
    /// one is what it says.
    ///
    /// ```
    /// use fuzz_dist_beam::Atom;
    /// assert_eq!(Atom::of_name("Shop.Cart").as_str(), "Elixir.Shop.Cart");
    /// assert_eq!(Atom::of_name("Elixir.Shop.Cart").as_str(), "Elixir.Shop.Cart");
    /// assert_eq!(Atom::of_name("'Cart'").as_str(), "Cart");
    /// assert_eq!(Atom::of_name("cart").as_str(), "cart");
    /// ```
    pub fn of_name(name: &str) -> Atom {
        let quoted = name.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        match quoted {
            Some(quoted) => Atom::from(quoted),
            None if name.starts_with(|c: char| c.is_ascii_uppercase())
                && name != "Elixir"
                && !name.starts_with("Elixir.") =>
            {
                Atom::from(format!("Elixir.{name}"))
            }
            None => Atom::from(name),
        }
    }
}
