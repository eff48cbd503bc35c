//! One walk over a history of sends and polls.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Anomaly;
use super::super::calls::{Outcome, call};
use super::super::dense::{self, Clients, Dense, Expected, Ints, NONE};
use super::super::evidence::node_of;
use super::super::finals::unsettled;
use fuzz_dist_history::op::{Kind, Process, Value};
use fuzz_dist_history::time::Time;
use fuzz_dist_history::{History, View, Word};

/// What a history says about its log.
pub(super) struct Log<'a> {
    history: &'a History,
    processes: Option<&'a [Process]>,
    values: Dense<'a>,
    /// By the numbers of their values.
    records: Vec<Record>,
    /// The number of the first value at each offset.
    offsets: Ints,
    /// The first event of offsets whose first value had been seen elsewhere before.
    strays: BTreeMap<i64, u32>,
    /// Offsets that are reported to hold several values.
    reported: BTreeSet<i64>,
    /// Polls that may have passed over something.
    jumps: Vec<(Place, Place)>,
    /// The last one with the highest offset.
    highest: Option<Place>,
    /// The offset behind which each client's polls begin, where that is the log's beginning.
    from_start: bool,
    /// First offsets of clients, where they began at the log's beginning.
    starts: Vec<i64>,
    /// Of the polls of unknown outcome: how many there are, and behind which offset their clients
    /// were, at least.
    pub(super) open_polls: usize,
    open_from: i64,
    /// Records that no client polled, and that may have been polled for all that is known.
    pub(super) unsure: usize,
    /// How many records were polled.
    pub(super) polled: usize,
    /// By their kinds.
    pub(super) found: BTreeMap<&'static str, Vec<Anomaly>>,
}

/// What is known of a value.
#[derive(Clone, Copy)]
struct Record {
    /// Where it was seen first.
    place: Place,
    /// The invocation of the send that may have happened.
    sent: u32,
    polled: bool,
    duplicate_reported: bool,
    unexpected_reported: bool,
}

/// An offset as an event has it; [`NONE`] for none.
#[derive(Clone, Copy)]
struct Place {
    offset: i64,
    event: u32,
}

impl Default for Record {
    fn default() -> Record {
        Record {
            place: Place { offset: 0, event: NONE },
            sent: NONE,
            polled: false,
            duplicate_reported: false,
            unexpected_reported: false,
        }
    }
}

/// Why a history cannot be judged.
pub(super) enum Unreadable {
    SentTwice { first: usize, second: usize },
    Neither { event: usize },
}

impl<'a> Log<'a> {
    /// Walks over a history; `processes` are those that explanations name for its own.
    pub(super) fn of(
        history: &'a History,
        from_start: bool,
        processes: Option<&'a [Process]>,
    ) -> Result<Log<'a>, Unreadable> {
        let (send, poll) = (history.find_function("send"), history.find_function("poll"));
        let (mut values, mut offsets) = (Expected::default(), Expected::default());
        for event in 0..history.len() {
            if Some(history.function_index(event)) == send {
                match history.kind(event) {
                    Kind::Invoke => values.add(history.word(event)),
                    Kind::Ok => offsets.add(history.word(event)),
                    Kind::Fail | Kind::Info => {}
                }
            }
        }
        let mut log = Log {
            history,
            processes,
            records: Vec::with_capacity(values.count),
            values: Dense::expecting(history, values),
            offsets: Ints::expecting(offsets),
            strays: BTreeMap::new(),
            reported: BTreeSet::new(),
            jumps: Vec::new(),
            highest: None,
            from_start,
            starts: Vec::new(),
            open_polls: 0,
            open_from: i64::MAX,
            unsure: 0,
            polled: 0,
            found: BTreeMap::new(),
        };
        let (mut clients, mut last) = (Clients::default(), Vec::new());
        for event in 0..history.len() {
            let (function, process) = (Some(history.function_index(event)), history.process(event));
            if function != send && function != poll || !process.is_client() {
                continue;
            }
            match history.kind(event) {
                Kind::Invoke if function == send => log.send(event)?,
                Kind::Ok if function == send => log.acknowledged(event)?,
                Kind::Ok => {
                    let last = dense::place(&mut last, clients.number(process));
                    log.poll(event, process, last).ok_or(Unreadable::Neither { event })?;
                }
                Kind::Invoke if call(history, event).outcome == Outcome::Open => {
                    let last = *dense::place(&mut last, clients.number(process));
                    log.open_polls += 1;
                    let from = last.map_or(i64::MIN, |place: Place| place.offset);
                    log.open_from = log.open_from.min(from);
                }
                Kind::Invoke | Kind::Fail | Kind::Info => {}
            }
        }
        let passed = log.passed();
        log.skipped();
        log.lost(&passed);
        Ok(log)
    }

    fn send(&mut self, event: usize) -> Result<(), Unreadable> {
        if call(self.history, event).outcome == Outcome::Failed {
            return Ok(());
        }
        let id = self.values.event(event);
        let record = self.record(id);
        if record.sent != NONE {
            let first = record.sent as usize;
            return Err(Unreadable::SentTwice { first, second: event });
        }
        record.sent = event as u32;
        Ok(())
    }

    fn acknowledged(&mut self, event: usize) -> Result<(), Unreadable> {
        let history = self.history;
        let word = history.word(event);
        match (history.int_of(word), history.invocation(event)) {
            (Some(offset), Some(invoked)) => {
                self.seen(history.word(invoked), Place { offset, event: event as u32 });
            }
            _ if word == Word::NIL => {}
            _ => return Err(Unreadable::Neither { event }),
        }
        Ok(())
    }

    /// Judges what a client polled after its `last` record; `None` where that is no list of pairs.
    fn poll(&mut self, event: usize, client: Process, last: &mut Option<Place>) -> Option<()> {
        let history = self.history;
        let records = match history.view(event)? {
            View::Nil => return Some(()),
            View::List(records) => records,
            _ => return None,
        };
        for record in records.iter() {
            let [offset, value] = record.as_list()?.word_array()?;
            let place = Place { offset: history.int_of(offset)?, event: event as u32 };
            let id = self.seen(value, place);
            self.polled += 1;
            let record = &mut self.records[id as usize];
            record.polled = true;
            // Whoever sends it has not begun yet.
            if record.sent == NONE && !std::mem::replace(&mut record.unexpected_reported, true) {
                self.unexpected(id, event);
            }
            if self.highest.is_none_or(|highest| highest.offset <= place.offset) {
                self.highest = Some(place);
            }
            match last.replace(place) {
                Some(former) if place.offset <= former.offset => {
                    self.non_monotonic(id, client, former, place);
                }
                Some(former) if place.offset - 1 > former.offset => {
                    self.jumps.push((former, place));
                }
                None if self.from_start => self.starts.push(place.offset),
                _ => {}
            }
        }
        Some(())
    }

    fn name(&self, process: Process) -> Process {
        let of = |processes: &[Process]| processes.get(process.0 as usize).copied();
        self.processes.and_then(of).unwrap_or(process)
    }

    fn record(&mut self, id: u32) -> &mut Record {
        dense::place(&mut self.records, id as usize)
    }

    /// Places a value, and gives its number: one value for each offset, one offset for each value.
    fn seen(&mut self, value: Word, place: Place) -> u32 {
        let id = self.values.word(value);
        let record = self.record(id);
        if record.place.event == NONE {
            record.place = place;
        }
        let first = record.place;
        if first.offset != place.offset && !std::mem::replace(&mut record.duplicate_reported, true)
        {
            self.duplicate(id, first, place);
        }
        let slot = self.offsets.slot(place.offset);
        let holds = *slot;
        if holds == NONE {
            *slot = id;
            if first.offset != place.offset {
                self.strays.insert(place.offset, place.event);
            }
        } else if holds != id && self.reported.insert(place.offset) {
            self.inconsistent(holds, id, place);
        }
        id
    }

    #[cold]
    fn duplicate(&mut self, id: u32, first: Place, place: Place) {
        let value = self.values.value(id);
        let text = format!("{value} stands at offsets {} and {}", first.offset, place.offset);
        self.add("duplicate", value, text, [first.event, place.event]);
    }

    #[cold]
    fn inconsistent(&mut self, one: u32, other: u32, Place { offset, event }: Place) {
        let first = self.strays.get(&offset).copied();
        let first = first.unwrap_or(self.records[one as usize].place.event);
        let (one, other) = (self.values.value(one), self.values.value(other));
        let text = format!("offset {offset} holds {one} and {other}");
        self.add("inconsistent", Value::Int(offset), text, [first, event]);
    }

    #[cold]
    fn unexpected(&mut self, id: u32, event: usize) {
        let value = self.values.value(id);
        let (node, time) = (node_of(self.history, event), self.history.time(event));
        let text = format!(
            "{value} was polled on {node} at {time}, but no client had sent it, or the send had failed"
        );
        self.add("unexpected", value, text, [event as u32]);
    }

    #[cold]
    fn non_monotonic(&mut self, id: u32, client: Process, former: Place, place: Place) {
        let client = self.name(client);
        let text =
            format!("client {client} polled offset {} after {}", place.offset, former.offset);
        let value = self.values.value(id);
        self.add("non_monotonic", value, text, [former.event, place.event]);
    }

    /// A client's polls passed over an offset of which some event has a record.
    fn skipped(&mut self) {
        let jumps = std::mem::take(&mut self.jumps);
        let known = if jumps.is_empty() { Vec::new() } else { self.offsets.ascending() };
        for (former, place) in jumps {
            let next = known.partition_point(|(offset, _)| *offset <= former.offset);
            let (offset, id) = known[next];
            if offset < place.offset {
                let client = self.name(self.history.process(place.event as usize));
                let value = self.values.value(id);
                let text = format!(
                    "client {client} polled offset {} after {}, passing over offset {offset} with {value}",
                    place.offset, former.offset
                );
                self.add("skipped", value, text, [former.event, place.event]);
            }
        }
    }

    /// The spans of offsets that some client's polls passed over, ascending, each as where it begins
    /// and the farthest end of it and of those before.
    fn passed(&self) -> Vec<(i64, i64)> {
        let jumps = self.jumps.iter().map(|(former, place)| (former.offset, place.offset));
        let mut spans: Vec<(i64, i64)> = jumps.collect();
        spans.extend(self.starts.iter().map(|first| (i64::MIN, *first)));
        spans.sort_unstable();
        let mut farthest = i64::MIN;
        for (_, end) in &mut spans {
            farthest = farthest.max(*end);
            *end = farthest;
        }
        spans
    }

    /// Acknowledged below what was polled, and never polled: lost where some client passed over
    /// it, and no poll of unknown outcome can have returned it.
    fn lost(&mut self, passed: &[(i64, i64)]) {
        let settled = unsettled(self.history).is_none();
        let Some(highest) = self.highest.filter(|_| settled) else { return };
        let unpolled = |(_, r): &(usize, &Record)| {
            // What was seen and not polled was acknowledged, once.
            !r.polled && r.place.event != NONE && r.place.offset < highest.offset
        };
        let unpolled = self.records.iter().enumerate().filter(unpolled);
        let (open, open_from) = (self.open_polls > 0, self.open_from);
        let certain = |(place, _): &(Place, u32)| {
            let begun = passed.partition_point(|(from, _)| *from < place.offset);
            let over = passed[..begun].last().is_some_and(|(_, end)| *end > place.offset);
            over && !(open && open_from < place.offset)
        };
        let (mut lost, unsure): (Vec<_>, Vec<_>) =
            unpolled.map(|(id, r)| (r.place, id as u32)).partition(certain);
        self.unsure = unsure.len();
        lost.sort_unstable_by_key(|(place, _)| place.event);
        for (place, id) in lost {
            let (value, event) = (self.values.value(id), place.event as usize);
            let text = format!(
                "{value} was acknowledged by {} at {} with offset {}, but no client polled it, though offset {} was polled",
                node_of(self.history, event),
                self.history.time(event),
                place.offset,
                highest.offset
            );
            self.add("lost", value, text, [place.event, highest.event]);
        }
    }

    fn add<const N: usize>(
        &mut self,
        kind: &'static str,
        value: Value,
        text: String,
        events: [u32; N],
    ) {
        let time = events.last().map_or(Time::ZERO, |e| self.history.time(*e as usize));
        let events = events.map(|e| e as usize);
        let anomaly = Anomaly::new(kind, value).explained(text).at(time).proved_by(events);
        self.found.entry(kind).or_default().push(anomaly);
    }
}
