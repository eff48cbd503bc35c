//! The head of a message: its atom table and its control message, read as far as they are there.

use std::sync::Arc;

use super::kind::{ControlKind, Target};
use crate::control::PASS_THROUGH;
use crate::decode::DEPTH_MAX;
use crate::encode::VERSION;

/// Messages whose atoms come in a table; whole ones, first fragments, and further fragments.
const WITH_TABLE: u8 = 68;
const FIRST_FRAGMENT: u8 = 69;
const FURTHER_FRAGMENT: u8 = 70;

/// The atoms that one side of a connection has sent, by their places in the other's cache:
/// 8 segments of 256.
const CACHE_LEN: usize = 8 * 256;

/// Why a head was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// So many bytes of the message are needed at least.
    More(usize),
    /// It is no message.
    Wrong(&'static str),
}

/// What a message's head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// A message, or the first part of one.
    Message(ControlKind, Target),
    /// A further part of a message that came before.
    Further,
}

/// The atoms that were sent, as far as they were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct AtomCache(Vec<Option<Arc<str>>>);

impl AtomCache {
    fn get(&self, place: usize) -> Option<Arc<str>> {
        self.0.get(place).cloned().flatten()
    }

    fn put(&mut self, place: usize, name: Arc<str>) {
        self.0.resize(CACHE_LEN, None);
        self.0[place] = Some(name);
    }

    /// After a message that could not be read nothing is certain any more.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// Reads the head of a message from the first bytes of its body (what follows its length).
pub(super) fn read(body: &[u8], cache: &mut AtomCache) -> Result<Head, Stop> {
    let mut reader = Reader { bytes: body, at: 0, atoms: Vec::new() };
    match reader.u8()? {
        PASS_THROUGH => match reader.u8()? {
            VERSION => reader.control(),
            _ => Err(Stop::Wrong("a message without version")),
        },
        VERSION => {
            let kind = reader.u8()?;
            match kind {
                WITH_TABLE => {}
                // The numbers of the sequence and of the fragment.
                FIRST_FRAGMENT => reader.skip(16)?,
                FURTHER_FRAGMENT => {
                    reader.skip(16)?;
                    return Ok(Head::Further);
                }
                _ => return Err(Stop::Wrong("a message of an unknown form")),
            }
            let fresh = reader.table(cache)?;
            let head = reader.control()?;
            for (place, name) in fresh {
                cache.put(place, name);
            }
            Ok(head)
        }
        _ => Err(Stop::Wrong("a message of an unknown type")),
    }
}

/// Reads from the front, and knows how many bytes it lacks.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What the message's references to atoms stand for.
    atoms: Vec<Option<Arc<str>>>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.saturating_add(length);
        let taken = self.bytes.get(self.at..end).ok_or(Stop::More(end))?;
        self.at = end;
        Ok(taken)
    }

    fn skip(&mut self, length: usize) -> Result<(), Stop> {
        self.take(length).map(drop)
    }

    fn u8(&mut self) -> Result<u8, Stop> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<usize, Stop> {
        let bytes = self.take(2)?;
        Ok(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
    }

    fn u32(&mut self) -> Result<usize, Stop> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    }

    /// The table of the atoms that the message refers to; gives those that are new to the cache.
    fn table(&mut self, cache: &AtomCache) -> Result<Vec<(usize, Arc<str>)>, Stop> {
        let count = usize::from(self.u8()?);
        let mut fresh: Vec<(usize, Arc<str>)> = Vec::new();
        if count == 0 {
            return Ok(fresh);
        }
        // Half a byte for each atom, the lower half first, and one for all.
        let flags = self.take(count / 2 + 1)?;
        let half = |i: usize| flags[i / 2] >> (4 * (i % 2)) & 15;
        let long = half(count) & 1 == 1;
        for i in 0..count {
            let place = usize::from(half(i) & 7) << 8 | usize::from(self.u8()?);
            let is_fresh = half(i) & 8 != 0;
            let name = if is_fresh {
                let length = if long { self.u16()? } else { usize::from(self.u8()?) };
                let name: Arc<str> = text(self.take(length)?)?.into();
                fresh.push((place, name.clone()));
                Some(name)
            } else {
                cache.get(place)
            };
            self.atoms.push(name);
        }
        Ok(fresh)
    }

    /// The control message: a tuple that begins with its number.
    fn control(&mut self) -> Result<Head, Stop> {
        const WRONG: Stop = Stop::Wrong("a control message that is no tuple with a number");
        let arity = match self.u8()? {
            104 => usize::from(self.u8()?),
            105 => self.u32()?,
            _ => return Err(WRONG),
        };
        if arity == 0 || self.u8()? != 97 {
            return Err(WRONG);
        }
        let operation = self.u8()?;
        let (mut kind, place) = ControlKind::of(operation);
        let mut target = Target::None;
        for element in 1..arity {
            if operation == ControlKind::PRIORITY_SEND && element == 1 {
                kind = ControlKind::with_flags(self.small_int()?);
            } else if Some(element) == place {
                target = self.target()?;
                break;
            } else if place.is_none() {
                break;
            } else {
                self.term(DEPTH_MAX)?;
            }
        }
        Ok(Head::Message(kind, target))
    }

    fn small_int(&mut self) -> Result<u32, Stop> {
        match self.u8()? {
            97 => Ok(u32::from(self.u8()?)),
            98 => Ok(self.u32()? as u32),
            _ => Err(Stop::Wrong("flags that are no small integer")),
        }
    }

    /// The element that says whom the message is for.
    fn target(&mut self) -> Result<Target, Stop> {
        let tag = self.u8()?;
        Ok(match tag {
            82 | 100 | 115 | 118 | 119 => Target::named(self.atom(tag)?),
            88 | 103 => {
                self.after(tag, DEPTH_MAX)?;
                Target::Process
            }
            90 | 101 | 114 => {
                self.after(tag, DEPTH_MAX)?;
                Target::Alias
            }
            // {Module, Function, Arity}
            104 if self.u8()? == 3 => {
                let mut name = || {
                    let tag = self.u8()?;
                    self.atom(tag)
                };
                match (name()?, name()?) {
                    (Some(module), Some(function)) => {
                        Target::Function(format!("{module}:{function}").into())
                    }
                    _ => Target::Unknown,
                }
            }
            _ => return Err(Stop::Wrong("a control message for nobody")),
        })
    }

    /// An atom's text; `None` for one that was sent before anybody looked.
    fn atom(&mut self, tag: u8) -> Result<Option<Arc<str>>, Stop> {
        let length = match tag {
            82 => {
                let index = usize::from(self.u8()?);
                let known = self.atoms.get(index).cloned();
                return known.ok_or(Stop::Wrong("an atom that no table has"));
            }
            115 | 119 => usize::from(self.u8()?),
            100 | 118 => self.u16()?,
            _ => return Err(Stop::Wrong("no atom where one belongs")),
        };
        let name = self.take(length)?;
        if matches!(tag, 100 | 115) {
            // Latin-1, whose characters are the first ones of Unicode.
            return Ok(Some(name.iter().map(|byte| char::from(*byte)).collect::<String>().into()));
        }
        Ok(Some(text(name)?.into()))
    }

    /// Passes over a term.
    fn term(&mut self, depth: usize) -> Result<(), Stop> {
        let tag = self.u8()?;
        self.after(tag, depth)
    }

    /// Passes over what follows a term's tag.
    fn after(&mut self, tag: u8, depth: usize) -> Result<(), Stop> {
        let depth = depth.checked_sub(1).ok_or(Stop::Wrong("a term nested too deeply"))?;
        match tag {
            97 => self.skip(1),
            98 => self.skip(4),
            70 => self.skip(8),
            99 => self.skip(31),
            106 => Ok(()),
            110 => {
                let length = usize::from(self.u8()?);
                self.skip(1 + length)
            }
            111 => {
                let length = self.u32()?;
                self.skip(length.saturating_add(1))
            }
            82 | 100 | 115 | 118 | 119 => self.atom(tag).map(drop),
            107 => {
                let length = self.u16()?;
                self.skip(length)
            }
            109 => {
                let length = self.u32()?;
                self.skip(length)
            }
            77 => {
                let length = self.u32()?;
                self.skip(length.saturating_add(1))
            }
            104 => {
                let arity = usize::from(self.u8()?);
                self.terms(arity, depth)
            }
            105 => {
                let arity = self.u32()?;
                self.terms(arity, depth)
            }
            108 => {
                let length = self.u32()?;
                self.terms(length.saturating_add(1), depth)
            }
            116 => {
                let pairs = self.u32()?;
                self.terms(pairs.saturating_mul(2), depth)
            }
            // Pids, ports and references: a node's name, then numbers.
            88 => self.of_node(12),
            103 => self.of_node(9),
            89 => self.of_node(8),
            102 | 101 => self.of_node(5),
            120 => self.of_node(12),
            90 | 114 => {
                let words = self.u16()?;
                self.of_node(4 * words + if tag == 90 { 4 } else { 1 })
            }
            112 => {
                let size = self.u32()?;
                self.skip(size.checked_sub(4).ok_or(Stop::Wrong("a fun without a size"))?)
            }
            113 => self.terms(3, depth),
            _ => Err(Stop::Wrong("a term of an unknown tag")),
        }
    }

    fn terms(&mut self, count: usize, depth: usize) -> Result<(), Stop> {
        // Every term takes a byte at least: whoever waits for so many knows it at once.
        if count > self.bytes.len().saturating_sub(self.at) {
            return Err(Stop::More(self.at.saturating_add(count)));
        }
        (0..count).try_for_each(|_| self.term(depth))
    }

    fn of_node(&mut self, numbers: usize) -> Result<(), Stop> {
        let tag = self.u8()?;
        self.atom(tag)?;
        self.skip(numbers)
    }
}

fn text(bytes: &[u8]) -> Result<&str, Stop> {
    std::str::from_utf8(bytes).map_err(|_| Stop::Wrong("an atom that is not UTF-8"))
}
