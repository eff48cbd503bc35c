//! Terms there and back through a real node, which also shows how it would print them.

use std::collections::BTreeMap;

use fuzz_dist::args;
use fuzz_dist::beam::{BigInt, Bits, Bytes, Connection, Term, atom, charlist};

use super::support::lone_node;

async fn eval(node: &Connection, expression: &str) -> Term {
    let tokens: (Term, Term, Term) =
        node.call("erl_scan", "string", args![charlist(&format!("{expression}."))]).await.unwrap();
    let parsed: (Term, Term) =
        node.call("erl_parse", "parse_exprs", args![tokens.1]).await.unwrap();
    let bindings = args![parsed.1, Vec::<Term>::new()];
    let value: Result<(Term, Term, Term), _> = node.call("erl_eval", "exprs", bindings).await;
    value.unwrap_or_else(|error| panic!("{expression}: {error}")).1
}

#[tokio::test]
async fn terms_go_there_and_back() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let long = vec![7u8; 70_000];
    let terms = vec![
        Term::Int(0),
        Term::Int(255),
        Term::Int(256),
        Term::Int(-1),
        Term::Int(i64::from(i32::MAX)),
        Term::Int(i64::from(i32::MAX) + 1),
        Term::Int(i64::MIN),
        Term::from(u64::MAX),
        Term::from(i128::MIN),
        Term::Big(BigInt::new(true, vec![255; 300])),
        Term::from(1.5),
        Term::from(-0.0),
        atom("a"),
        atom("Ä ö"),
        Term::Atom("é".repeat(255).into()),
        Term::from("text"),
        Term::from(Bytes(long.clone())),
        Term::Bits(Box::new(Bits { bytes: vec![1, 0b1010_0000], last_bits: 3 })),
        Term::List(vec![]),
        Term::from(long),
        Term::from(vec![1, 256]),
        Term::Improper(Box::new((vec![atom("a")], atom("b")))),
        Term::Tuple(vec![]),
        Term::Tuple(vec![Term::Int(1); 300]),
        Term::from(BTreeMap::from([("a", 1), ("b", 2)])),
        eval(&node, "self()").await,
        eval(&node, "make_ref()").await,
        eval(&node, "fun lists:map/2").await,
        eval(&node, "fun(X) -> X end").await,
        eval(&node, "hd(erlang:ports())").await,
    ];
    for term in terms {
        let back: Term = node.call("erlang", "hd", args![vec![term.clone()]]).await.unwrap();
        assert_eq!(back, term);
        // A fun may be written with other tags for its atoms.
        if matches!(term, Term::Fun(_)) {
            continue;
        }
        // The node has understood it as we did: in its own bytes it is the same.
        let bytes: Bytes =
            node.call("erlang", "term_to_binary", args![term.clone()]).await.unwrap();
        assert_eq!(fuzz_dist::beam::decode_whole(&bytes.0), Ok(term));
    }
}

#[tokio::test]
async fn terms_print_as_erlang_prints_them() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let expressions = [
        "1",
        "-17",
        "123456789012345678901234567890",
        "1.0",
        "0.1",
        "-2.5e-9",
        "1.0e300",
        "12345.678",
        "a",
        "'A b'",
        "'it\\'s'",
        "'receive'",
        "''",
        "\"text\"",
        "\"t\\n\\\"x\\\"\"",
        "[]",
        "[1,2,3]",
        "[a|b]",
        "{}",
        "{a,{b,1}}",
        "<<>>",
        "<<\"bin\">>",
        "<<1,2,255>>",
        "<<5:3>>",
        "<<1,5:3>>",
        "#{a => 1,b => [2]}",
        "fun lists:map/2",
        "true",
        "[[],[]]",
        "1.0e16",
        "1.0e15",
        "[\"ab\",\"cd\"]",
        "a@b",
        "[200,300]",
        "\"\\e\"",
        "1.0e-5",
        "0.0001",
    ];
    // From OTP 26 on, maps of atoms are printed in any order unless the term order is asked for.
    let format = if super::support::runtime().otp_release < 26 { "~0p" } else { "~0kp" };
    for expression in expressions {
        let term = eval(&node, expression).await;
        let characters: Term =
            node.call("io_lib", "format", (charlist(format), vec![term.clone()])).await.unwrap();
        let printed: String = node.call("lists", "flatten", args![characters]).await.unwrap();
        assert_eq!(term.to_string(), printed, "of {expression}");
    }
}

#[tokio::test]
async fn floats_print_as_erlang_prints_them() {
    let lone = lone_node();
    let node = lone.node.connect().await;
    let digits = [1.0, -1.5, 1.25, 12.0, 123.0, 1234.5, 9.007199254740991, 123456789.0];
    let small =
        digits.iter().flat_map(|digit| (-25..25).map(move |power| digit * 10f64.powi(power)));
    let floats: Vec<f64> = small
        .chain([0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, 9_007_199_254_740_991.0])
        .collect();
    let characters: Term =
        node.call("io_lib", "format", (charlist("~w"), vec![floats.clone()])).await.unwrap();
    let text: String = node.call("lists", "flatten", args![characters]).await.unwrap();
    let expected: Vec<&str> = text.trim_matches(['[', ']']).split(',').collect();
    assert_eq!(expected.len(), floats.len());
    for (float, expected) in floats.iter().zip(expected) {
        assert_eq!(Term::from(*float).to_string(), expected);
    }
}
