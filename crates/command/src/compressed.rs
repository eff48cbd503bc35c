//! Files compressed with gzip or zstd, read as they are decompressed.
//!
//! What is decompressed is never held as a whole, so that a small file which stands for a huge text
//! takes no more memory than that text would.

use std::io::Read;
#[cfg(feature = "compressed")]
use std::io::{self, BufRead, BufReader};

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// That of a file which begins so, if any.
    pub(super) fn of(head: &[u8]) -> Option<Compression> {
        match head {
            [0x1f, 0x8b, ..] => Some(Compression::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
            // A frame of zstd that is to be skipped, as pzstd writes them.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Compression::Zstd),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// Reads what was compressed. Its errors say so.
    #[cfg(feature = "compressed")]
    pub(super) fn reader(self, source: impl Read + 'static) -> Result<Box<dyn Read>, String> {
        let source = BufReader::with_capacity(1 << 16, source);
        let plain: Box<dyn Read> = match self {
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
            Compression::Zstd => Box::new(frames::Frames::new(source)),
        };
        Ok(Box::new(Decompressed { plain, compression: self }))
    }

    /// Says what to do instead.
    #[cfg(not(feature = "compressed"))]
    pub(super) fn reader(self, source: impl Read + 'static) -> Result<Box<dyn Read>, String> {
        drop(source);
        let program = self.as_str();
        Err(format!(
            "it is compressed with {program}, which this program was built without; use `{program} -dc FILE | cargo fuzz-dist check - …`, or build it with the feature `compressed`"
        ))
    }
}

/// A reader whose errors say what was decompressed.
#[cfg(feature = "compressed")]
struct Decompressed {
    plain: Box<dyn Read>,
    compression: Compression,
}

#[cfg(feature = "compressed")]
impl Read for Decompressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.plain.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => {
                let what = self.compression.as_str();
                io::Error::new(kind, format!("it is damaged, or cut off ({what}: {error})"))
            }
        })
    }
}

#[cfg(feature = "compressed")]
mod frames {
    use super::{BufRead, Read, io};
    use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
    use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

    /// The frames of a zstd file, one after the other.
    pub(super) struct Frames<R> {
        source: R,
        decoder: FrameDecoder,
        /// A frame was begun, and all that was in it was not yet given.
        inside: bool,
    }

    impl<R: BufRead> Frames<R> {
        pub(super) fn new(source: R) -> Frames<R> {
            Frames { source, decoder: FrameDecoder::new(), inside: false }
        }

        /// Begins the next frame, if there is one.
        fn begin(&mut self) -> io::Result<bool> {
            while !self.source.fill_buf()?.is_empty() {
                match self.decoder.reset(&mut self.source) {
                    Ok(()) => {
                        self.inside = true;
                        return Ok(true);
                    }
                    Err(FrameDecoderError::ReadFrameHeaderError(
                        ReadFrameHeaderError::SkipFrame { length, .. },
                    )) => {
                        let mut rest = self.source.by_ref().take(length.into());
                        let skipped = io::copy(&mut rest, &mut io::sink())?;
                        if skipped < length.into() {
                            return Err(io::ErrorKind::UnexpectedEof.into());
                        }
                    }
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
            Ok(false)
        }

        fn end(&mut self) -> io::Result<()> {
            self.inside = false;
            match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
                (Some(expected), Some(found)) if expected != found => {
                    Err(io::Error::other("the checksum is wrong"))
                }
                _ => Ok(()),
            }
        }
    }

    impl<R: BufRead> Read for Frames<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            loop {
                if !self.inside && !self.begin()? {
                    return Ok(0);
                }
                while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    self.decoder.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
                }
                match self.decoder.read(buffer)? {
                    0 if self.decoder.is_finished() && !buffer.is_empty() => self.end()?,
                    count => return Ok(count),
                }
            }
        }
    }
}

/// The name of a file without what says how it was compressed.
pub(super) fn plain_name(name: &str) -> &str {
    let plain = [".gz", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end));
    plain.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        assert_eq!(Compression::of(b"\x1f\x8b\x08"), Some(Compression::Gzip));
        assert_eq!(Compression::of(b"\x28\xb5\x2f\xfd"), Some(Compression::Zstd));
        assert_eq!(Compression::of(b"{:type :invoke"), None);
        assert_eq!(plain_name("history.edn.gz"), "history.edn");
        assert_eq!(plain_name("history.edn"), "history.edn");
    }
}
