//! Small histories with the right verdict, asked for as a user does.
//!
//! Each shows what a checker once got wrong. The verdict is that of the question, not of the file:
//! several answers stand where a checker may leave it open.

mod program;

use program::{INVALID, UNKNOWN, VALID};

/// History, checker with its options, and the verdicts that are right.
#[rustfmt::skip]
const TABLE: &[(&str, &str, &str)] = &[
    ("mv_register_late_assign.edn", "crdt-causal -o type=mv-register", "valid"),
    ("mv_register_open_assign.edn", "crdt-causal -o type=mv-register", "valid"),
    ("add_wins_late_remove.edn", "crdt-causal -o type=add-wins-set", "valid"),
    ("enable_wins_late_disable.edn", "crdt-causal -o type=enable-wins-flag", "valid"),
    ("read_of_failed_write.edn", "session-guarantees", "invalid"),
    ("read_of_failed_write.edn", "weak -o level=writes-follow-reads", "invalid"),
    ("counter_beyond_64_bits.edn", "counter", "valid or unknown"),
    ("counter_beyond_64_bits.edn", "linearizable -o model=counter", "valid or unknown"),
    ("log_unknown_poll.edn", "offset-log", "valid or unknown"),
    ("long_fork_own_writes.edn", "long-fork", "valid or unknown"),
    ("fractured_registers.edn", "rw-register -o model=read-atomic", "invalid"),
    ("fractured_registers.edn", "read-atomic", "invalid"),
    ("fractured_registers.edn", "rw-register -o model=prefix", "invalid or unknown"),
    ("fractured_registers.edn", "rw-register -o model=parallel-snapshot-isolation", "invalid or unknown"),
    ("fractured_lists.edn", "list-append -o model=read-atomic", "invalid"),
    ("fractured_registers.txt", "rw-register -o model=read-atomic", "invalid"),
    ("future_append.edn", "list-append -o model=read-committed", "invalid"),
    ("future_write.edn", "rw-register -o model=read-committed", "invalid"),
    ("future_append_without_times.edn", "list-append -o model=read-committed", "invalid"),
    ("healthy_registers_20_clients.edn", "rw-register", "valid"),
    ("healthy_registers_20_clients.edn", "rw-register -o model=serializable", "valid"),
    ("healthy_registers_20_clients.edn", "rw-register -o model=snapshot-isolation", "valid"),
    ("five_unseen_appends.edn", "list-append -o model=serializable", "invalid or unknown"),
    ("four_unseen_appends.edn", "list-append -o model=serializable", "invalid"),
    ("two_unseen_appends.edn", "list-append -o model=snapshot-isolation", "invalid"),
    ("fractured_concurrent_writes.edn", "rw-register -o model=serializable", "invalid or unknown"),
    ("stale_through_two_reads.txt", "rw-register -o model=serializable", "invalid or unknown"),
    ("write_skew_blind.txt", "rw-register -o model=serializable", "invalid or unknown"),
    ("fifo_empty_before_unknown_dequeue.edn", "fifo", "invalid"),
    ("queue_not_drained.edn", "total-queue", "unknown"),
    ("queue_unknown_drain.edn", "total-queue", "unknown"),
    ("queue_failed_drain.edn", "total-queue", "invalid"),
    ("set_retried_add.edn", "set-full", "valid"),
    ("register_initial_zero.edn", "cas-register -o initial=0", "valid"),
    ("bank_text_keys.json", "bank -o accounts=0,1 -o total=10", "valid"),
    ("long_fork_of_jepsen.edn", "long-fork", "valid or invalid"),
    ("no_function.edn", "list-append", "valid or invalid"),
    ("kv_many_reads.edn", "linearizable -o model=kv", "invalid"),
    ("mv_register_overlapping_assign.edn", "crdt-causal -o type=mv-register", "valid"),
    ("register_retried_write.edn", "replicated-register", "valid"),
    ("queue_unknown_drain_empty.edn", "total-queue", "unknown"),
    ("two_orders.edn", "list-append -o model=read-uncommitted", "invalid"),
    ("session_until_unknown.edn", "causal", "valid"),
    ("kafka.edn", "offset-log", "valid"),
    ("kafka_text_keys.json", "offset-log", "valid"),
    ("kafka_reassigned.edn", "offset-log", "valid"),
    ("kafka_subscribed.edn", "offset-log", "valid"),
    ("kafka_lost.edn", "offset-log", "invalid"),
    ("kafka_aborted.edn", "offset-log", "invalid"),
    ("kafka_back.edn", "offset-log", "invalid"),
    ("kafka_two_values.edn", "offset-log", "invalid"),
    ("kafka.edn", "offset-log -o from-start", "unknown"),
    ("multi_register.edn", "linearizable -o model=multi-register", "valid"),
    ("multi_register_fractured.edn", "linearizable -o model=multi-register", "invalid"),
    ("multi_register_stale.edn", "linearizable -o model=multi-register -o initial=0", "invalid"),
    ("no_process.edn", "set", "valid"),
    ("no_process.edn", "set-full", "valid or unknown"),
    ("no_process_lost.edn", "set", "invalid"),
    ("no_process_lost.edn", "set-full", "invalid"),
    ("no_process_no_function.edn", "list-append", "invalid"),
    ("no_process_serial.edn", "list-append", "valid"),
    ("no_process_serial.edn", "list-append -o model=snapshot-isolation", "valid"),
    ("no_process_no_function.edn", "session-guarantees", "unknown"),
    ("no_process_no_function.edn", "set", "unknown"),
    ("dbcop_lost_update.json", "rw-register -o model=snapshot-isolation", "invalid"),
    ("dbcop_lost_update.json", "rw-register -o model=read-committed", "valid"),
    ("dbcop_lost_update.json", "causal", "valid"),
];

#[test]
fn each_history_gets_the_right_verdict() {
    let mut wrong = Vec::new();
    for (file, question, right) in TABLE {
        let path = format!("{}/tests/verdicts/{file}", env!("CARGO_MANIFEST_DIR"));
        let ended = program::run(&format!("check {path} --checker {question}"), "");
        let verdict = match ended.code {
            VALID => "valid",
            INVALID => "invalid",
            UNKNOWN => "unknown",
            _ => "error",
        };
        if !right.split(" or ").any(|r| r == verdict) || ended.out.contains("internal error") {
            wrong.push(format!(
                "{file} --checker {question}: {verdict}, not {right}\n{}{}",
                ended.out, ended.err
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Options that cannot be used are wrong arguments, and no verdict.
#[test]
fn unusable_options_are_refused() {
    let path = format!("{}/tests/verdicts/bank_text_keys.json", env!("CARGO_MANIFEST_DIR"));
    for accounts in ["1-0", "0-99999999999999999999", "0-9000000", "0,,1", ""] {
        let question = format!("check {path} --checker bank -o accounts={accounts} -o total=10");
        let ended = program::run(&question, "");
        assert_eq!(ended.code, program::WRONG, "{accounts}: {}{}", ended.out, ended.err);
        assert!(ended.err.contains("accounts"), "{}", ended.err);
    }
}
