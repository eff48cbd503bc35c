//! Which process a logged crash was about, and why it ended.

/// Lines that name neither are cut here.
const LINE_MAX: usize = 200;
/// So much of a reason is shown.
const REASON_MAX: usize = 160;

/// A logged line, as far as it says what crashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crash {
    /// What is shown: `gen_server stock terminated: {case_clause,empty}`, or the line itself.
    pub(super) text: String,
    /// How much it says; less is better. The process itself comes before its supervisor.
    pub(super) rank: u8,
}

impl Crash {
    /// `None` for a line that is about no crash.
    pub(super) fn of(line: &str) -> Option<Crash> {
        if !line.contains("crash") && !line.contains("terminat") {
            return None;
        }
        let (head, body) = line.split_once(": ").unwrap_or(("", line));
        let words: Vec<&str> = head.split_whitespace().collect();
        let reason = ["reason", "errorContext"]
            .iter()
            .find_map(|key| field(body, key))
            .or_else(|| field(body, "error_info"));
        let named = match &words[..] {
            [_, "supervisor", ..] => {
                let child = field(body, "offender").and_then(|child| field(child, "id"));
                child.map(|child| (3, format!("child {child} terminated")))
            }
            [_, behaviour, "terminate"] => {
                let name =
                    field(body, "name").or_else(|| between(body, " server ", " terminating"));
                name.map(|name| (0, format!("{behaviour} {name} terminated")))
            }
            [_, "proc_lib", "crash"] => {
                let name = field(body, "registered_name").filter(|name| *name != "[]");
                let call = || field(body, "initial_call");
                let process = name.map(|name| (1, name)).or_else(|| Some((2, call()?)));
                process.map(|(rank, process)| (rank, format!("process {process} crashed")))
            }
            _ => None,
        };
        Some(match (named, reason) {
            (Some((rank, named)), Some(reason)) => {
                Crash { text: format!("{named}: {}", shortened(reason, REASON_MAX)), rank }
            }
            _ => Crash { text: shortened(line, LINE_MAX), rank: 4 },
        })
    }
}

/// The term of a key: of `key => term` in a map, or of `{key,term}` in a list.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    for (at, _) in text.match_indices(key) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = text[at + key.len()..].trim_start();
        let value = match rest.strip_prefix("=>") {
            Some(value) => Some(value),
            None => rest.strip_prefix(',').filter(|_| before == Some('{')),
        };
        if let Some(value) = value.map(|value| term(value.trim_start())).filter(|v| !v.is_empty()) {
            return Some(value);
        }
    }
    None
}

/// The term that a text begins with: up to the comma or bracket that ends it.
fn term(text: &str) -> &str {
    let (mut depth, mut quote) = (0usize, None);
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(end), _) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[' | '(' | '<') => depth += 1,
            (None, '}' | ']' | ')' | ',') if depth == 0 => return text[..i].trim_end(),
            (None, '}' | ']' | ')' | '>') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.trim_end()
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    Some(rest.split_once(to)?.0)
}

fn shortened(line: &str, max: usize) -> String {
    match line.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, text: &str, rank: u8) {
        assert_eq!(Crash::of(line), Some(Crash { text: text.into(), rank }));
    }

    #[test]
    fn the_process_and_its_reason_are_found_in_every_kind_of_report() {
        check(
            "error gen_server terminate: #{client_info => undefined,label => {gen_server,terminate},name => stock,reason => {case_clause,empty}}",
            "gen_server stock terminated: {case_clause,empty}",
            0,
        );
        check(
            "error gen_statem terminate: #{label => {gen_statem,terminate},name => {local,lock},queue => [],reason => {error,{badmatch,\"a, b}\"},[{lock,idle,3,[]}]}}",
            "gen_statem {local,lock} terminated: {error,{badmatch,\"a, b}\"},[{lock,idle,3,[]}]}",
            0,
        );
        check(
            "error proc_lib crash: [[{initial_call,{shop,init,['Argument__1']}},{pid,<0.99.0>},{registered_name,shop},{error_info,{error,badarg,[{ets,insert,2,[]}]}}],[]]",
            "process shop crashed: {error,badarg,[{ets,insert,2,[]}]}",
            1,
        );
        check(
            "error proc_lib crash: [[{initial_call,{shop,init,[]}},{pid,<0.99.0>},{registered_name,[]},{error_info,{exit,killed,[]}}],[]]",
            "process {shop,init,[]} crashed: {exit,killed,[]}",
            2,
        );
        check(
            "error supervisor child_terminated: #{label => {supervisor,child_terminated},report => [{supervisor,{local,shop_sup}},{errorContext,child_terminated},{reason,{case_clause,empty}},{offender,[{id,stock}]}]}",
            "child stock terminated: {case_clause,empty}",
            3,
        );
        check("error: a server crashed", "error: a server crashed", 4);
    }

    #[test]
    fn other_lines_are_no_crash_and_torn_ones_do_no_harm() {
        assert_eq!(Crash::of("warning: the disk is nearly full"), None);
        for line in ["error x terminate:", "error gen_server terminate: #{name => a", "crash"] {
            assert_eq!(Crash::of(line).unwrap().rank, 4, "{line}");
        }
        assert!(Crash::of("error gen_server terminate: #{name => 'a, reason => {").is_some());
        let long = format!("error: crash {}", "ä".repeat(500));
        assert_eq!(Crash::of(&long).unwrap().text.chars().count(), LINE_MAX + 1);
    }
}
