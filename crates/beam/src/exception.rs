//! Exceptions of Erlang and Elixir as messages: what was raised, and where in the application.

use super::error::Class;
use super::from_term::shortened;
use super::term::{Term, atom};

/// Modules of Erlang/OTP and Elixir, whose frames say little about the application.
const LIBRARIES: &str = include_str!("exception/libraries.txt");

/// How deep in an exit reason a stack trace is looked for.
const DEPTH_MAX: usize = 4;

/// An entry of a stack trace.
pub(crate) struct Frame<'a> {
    pub(crate) module: &'a str,
    pub(crate) function: &'a str,
    pub(crate) arity: usize,
    /// Its file and line, where the module was compiled with them.
    place: Option<(String, i64)>,
}

impl std::fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&name(self.module, self.function, self.arity))?;
        match &self.place {
            Some((file, line)) => write!(f, " ({file}:{line})"),
            None => Ok(()),
        }
    }
}

/// A function as its language writes it: `cart:add/2`, `Shop.Cart.add/2`.
pub(crate) fn name(module: &str, function: &str, arity: usize) -> String {
    match module.strip_prefix("Elixir.") {
        Some(module) => format!("{module}.{function}/{arity}"),
        None => format!("{module}:{function}/{arity}"),
    }
}

/// One frame: a tuple of module, function, arity or arguments, and facts.
fn frame(term: &Term) -> Option<Frame<'_>> {
    let [module, function, arity, facts] = term.as_tuple()? else { return None };
    let arity = match arity {
        Term::List(args) => args.len(),
        arity => usize::try_from(arity.as_i64()?).ok()?,
    };
    let fact = |name| {
        facts.as_list()?.iter().find_map(|fact| match fact.as_tuple()? {
            [key, value] if key.is_atom(name) => Some(value),
            _ => None,
        })
    };
    let place = || Some((fact("file")?.as_text()?, fact("line")?.as_i64()?));
    let (module, function) = (module.as_atom()?.as_str(), function.as_atom()?.as_str());
    Some(Frame { module, function, arity, place: place() })
}

/// The frames of a stack trace; `None` where the term is none.
fn frames(term: &Term) -> Option<Vec<Frame<'_>>> {
    let list = term.as_list().filter(|list| !list.is_empty())?;
    list.iter().map(frame).collect()
}

/// The stack trace in the exit reason of another process, as `{{Reason, Stack}, {gen_server, call, _}}`.
fn within(reason: &Term, depth: usize) -> Option<Vec<Frame<'_>>> {
    let parts = reason.as_tuple().filter(|_| depth < DEPTH_MAX)?;
    match parts {
        [_, stack] if frames(stack).is_some() => frames(stack),
        parts => parts.iter().find_map(|part| within(part, depth + 1)),
    }
}

fn is_library(module: &str) -> bool {
    LIBRARIES.split_ascii_whitespace().any(|library| library == module)
}

/// The function of the call itself, where nothing of it was executed since there is no such function.
pub(crate) fn undefined(called: (&str, &str, usize), reason: &Term, stacktrace: &Term) -> bool {
    let first = stacktrace.as_list().and_then(|stack| frame(stack.first()?));
    reason.is_atom("undef")
        && first.is_some_and(|first| (first.module, first.function, first.arity) == called)
}

/// What was raised, in one line, and the first frame that is the application's.
pub(crate) fn message(class: Class, reason: &Term, stacktrace: &Term) -> String {
    let raised = described(class, reason);
    let stack = frames(stacktrace).or_else(|| within(reason, 0)).unwrap_or_default();
    match stack.iter().find(|frame| !is_library(frame.module)) {
        Some(frame) => format!("{raised} in {frame}"),
        None => raised,
    }
}

/// An exception as Elixir's message, if it has one, or as the class and the reason.
fn described(class: Class, reason: &Term) -> String {
    // What a call exits with when the process that it called crashed.
    if let (Class::Exit, Some([cause, called])) = (class, reason.as_tuple())
        && let (Some([cause, stack]), Some([module, function, args])) =
            (cause.as_tuple(), called.as_tuple())
        && let (Some(module), Some(function), Some(args), Some(_)) =
            (module.as_atom(), function.as_atom(), args.as_list(), frames(stack))
    {
        let called = name(module.as_str(), function.as_str(), args.len());
        return format!(
            "exit of the process called by {called}: {}",
            described(Class::Error, cause)
        );
    }
    if let Term::Map(fields) = reason
        && let Some(module) = fields.get(&atom("__struct__")).and_then(Term::as_atom)
    {
        let module = module.as_str().trim_start_matches("Elixir.");
        let message = fields.get(&atom("message")).and_then(Term::as_text);
        return match message.filter(|message| !message.is_empty()) {
            Some(message) => format!("{module}: {message}"),
            None => format!("{module}: {}", shortened(&Term::Map(own(fields)))),
        };
    }
    let class = match class {
        Class::Error => "error",
        Class::Exit => "exit",
        Class::Throw => "throw",
    };
    format!("{class}: {}", shortened(reason))
}

/// The fields of an exception that say something: not its marks, and none that is `nil`.
fn own(fields: &std::collections::BTreeMap<Term, Term>) -> std::collections::BTreeMap<Term, Term> {
    let mut fields = super::elixir::fields(fields.clone());
    fields.retain(|_, value| !value.is_atom("nil"));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallError, charlist, keyword};

    fn entry(
        module: &'static str,
        function: &'static str,
        arity: i64,
        file: &str,
        line: i64,
    ) -> Term {
        let facts = keyword([("file", charlist(file)), ("line", Term::Int(line))]);
        Term::Tuple(vec![atom(module), atom(function), Term::Int(arity), facts])
    }

    fn raised(class: Class, reason: Term, stack: Vec<Term>) -> String {
        let (peer, stacktrace) = ("shop@n1".into(), Term::List(stack));
        CallError::Exception { peer, class, reason, stacktrace }.to_string()
    }

    fn struct_of(name: &'static str, fields: &[(&'static str, Term)]) -> Term {
        let marks = [("__struct__", atom(name)), ("__exception__", atom("true"))];
        let fields = fields.iter().cloned().chain(marks);
        Term::Map(fields.map(|(key, value)| (atom(key), value)).collect())
    }

    #[test]
    fn a_message_has_the_first_frame_of_the_application() {
        let stack = vec![
            entry("maps", "get", 2, "maps.erl", 1),
            entry("Elixir.Map", "fetch!", 2, "lib/map.ex", 2),
            entry("Elixir.Shop.Cart", "total", 1, "lib/shop/cart.ex", 12),
            entry("Elixir.Shop", "checkout", 0, "lib/shop.ex", 3),
        ];
        let missing =
            struct_of("Elixir.KeyError", &[("key", atom("price")), ("message", atom("nil"))]);
        assert_eq!(
            raised(Class::Error, missing, stack),
            "exception on shop@n1: KeyError: #{key => price} in Shop.Cart.total/1 (lib/shop/cart.ex:12)"
        );
        let erlang = vec![
            entry("lists", "nth", 2, "lists.erl", 1),
            entry("cart", "add", 2, "src/cart.erl", 7),
        ];
        assert_eq!(
            raised(Class::Error, atom("function_clause"), erlang),
            "exception on shop@n1: error: function_clause in cart:add/2 (src/cart.erl:7)"
        );
        // A protocol's implementation for a type of the application belongs to it.
        let own = vec![entry("Elixir.Enumerable.Shop.Cart", "reduce", 3, "lib/shop/cart.ex", 40)];
        assert!(
            raised(Class::Error, atom("badarg"), own).contains("Enumerable.Shop.Cart.reduce/3")
        );
        let libraries = vec![entry("lists", "nth", 2, "lists.erl", 1)];
        assert_eq!(
            raised(Class::Error, atom("badarg"), libraries),
            "exception on shop@n1: error: badarg"
        );
        // A list that is no stack trace is left out.
        assert_eq!(
            raised(Class::Error, atom("a"), vec![atom("b")]),
            "exception on shop@n1: error: a"
        );
    }

    #[test]
    fn the_crash_of_a_server_has_the_frame_of_the_server() {
        let stack = Term::List(vec![
            entry("Elixir.Enum", "fetch!", 2, "lib/enum.ex", 1),
            entry("Elixir.Shop.Cart", "handle_call", 3, "lib/shop/cart.ex", 30),
            entry("gen_server", "try_handle_call", 4, "gen_server.erl", 1149),
        ]);
        let cause = struct_of("Elixir.Shop.Full", &[("message", Term::from("no room"))]);
        let args = Term::List(vec![atom("cart"), atom("add"), Term::Int(5000)]);
        let called = Term::Tuple(vec![atom("Elixir.GenServer"), atom("call"), args]);
        let reason = Term::from((Term::from((cause, stack)), called));
        assert_eq!(
            raised(Class::Exit, reason, vec![]),
            "exception on shop@n1: exit of the process called by GenServer.call/3: Shop.Full: no room \
             in Shop.Cart.handle_call/3 (lib/shop/cart.ex:30)"
        );
    }
}
