//! Draws a grudge in one line, as people speak of it.

use super::Grudge;

pub(super) fn describe(grudge: &Grudge, names: &[impl AsRef<str>]) -> String {
    let n = grudge.nodes();
    if !grudge.is_effective() {
        return "nothing is cut".into();
    }
    let all: Vec<usize> = (0..n).collect();
    let components = components(grudge, &all);
    if *grudge == Grudge::complete(n, &components) {
        return draw(&components, names, " | ");
    }
    if grudge.is_symmetric() {
        if let Some(text) = bridge(grudge, &all, names) {
            return text;
        }
        let cut = grudge.cuts().filter(|(a, b)| a < b).collect::<Vec<_>>();
        if let [(a, b)] = cut[..] {
            return format!("{} x {}", names[a].as_ref(), names[b].as_ref());
        }
        let views = all.iter().map(|i| {
            let seen: Vec<usize> = grudge.sees(*i).into_iter().filter(|j| j != i).collect();
            format!("{} sees {}", names[*i].as_ref(), set(&seen, names))
        });
        return views.collect::<Vec<_>>().join(", ");
    }
    let senders = all.iter().filter_map(|from| {
        let deaf: Vec<usize> = all.iter().copied().filter(|to| grudge.drops(*to, *from)).collect();
        (!deaf.is_empty()).then(|| format!("{} -/-> {}", names[*from].as_ref(), set(&deaf, names)))
    });
    senders.collect::<Vec<_>>().join(", ")
}

/// One node that sees all others, which without it fall apart into components.
fn bridge(grudge: &Grudge, all: &[usize], names: &[impl AsRef<str>]) -> Option<String> {
    let mut middles = all.iter().filter(|i| grudge.sees(**i).len() == all.len());
    let (middle, None) = (*middles.next()?, middles.next()) else { return None };
    let rest: Vec<usize> = all.iter().copied().filter(|i| *i != middle).collect();
    let sides = components(grudge, &rest);
    let complete = sides.iter().enumerate().all(|(s, side)| {
        side.iter()
            .all(|a| rest.iter().all(|b| a == b || grudge.linked(*a, *b) == sides[s].contains(b)))
    });
    (complete && sides.len() == 2)
        .then(|| draw(&sides, names, &format!(" - {} - ", names[middle].as_ref())))
}

/// The connected components of mutual visibility among `nodes`.
fn components(grudge: &Grudge, nodes: &[usize]) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = nodes.to_vec();
    let mut components = Vec::new();
    while !left.is_empty() {
        let mut component = vec![left.remove(0)];
        let mut next = 0;
        while next < component.len() {
            let at = component[next];
            let (linked, rest) = left.iter().partition(|i| grudge.linked(at, **i));
            component.extend::<Vec<usize>>(linked);
            left = rest;
            next += 1;
        }
        component.sort_unstable();
        components.push(component);
    }
    components
}

fn draw(components: &[Vec<usize>], names: &[impl AsRef<str>], between: &str) -> String {
    components.iter().map(|c| set(c, names)).collect::<Vec<_>>().join(between)
}

fn set(members: &[usize], names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = members.iter().map(|i| names[*i].as_ref()).collect();
    format!("{{{}}}", names.join(" "))
}
