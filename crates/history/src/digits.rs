//! Whole numbers in decimal notation, eight digits at a time: they are most of what histories
//! consist of.

const ZEROS: u64 = u64::from_le_bytes(*b"00000000");
/// One above what eight digits can say.
const LIMIT: u64 = 100_000_000;

/// How many of these bytes are digits, from the first on, and which number they are.
pub(super) fn read(bytes: [u8; 8]) -> (usize, u64) {
    let digits = u64::from_le_bytes(bytes) ^ ZEROS;
    // A digit is at most nine, so that it has no high bits, and six more give it none.
    let high = (digits | digits.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0;
    let count = high.trailing_zeros() / 8;
    if count == 0 {
        return (0, 0);
    }
    // Zeros in front of them make them eight; then pairs are joined, and pairs of pairs.
    let digits = digits << (64 - 8 * count);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let (first, second) = (pairs & 0xff_0000_00ff, (pairs >> 16) & 0xff_0000_00ff);
    let first = first.wrapping_mul(100 + (1_000_000 << 32));
    let second = second.wrapping_mul(1 + (10_000 << 32));
    (count as usize, first.wrapping_add(second) >> 32)
}

/// Writes a number that is not negative.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, n: u64) {
    match n {
        0..10 => out.push(b'0' + n as u8),
        10..100 => out.extend_from_slice(&[b'0' + (n / 10) as u8, b'0' + (n % 10) as u8]),
        _ => write_long(out, n),
    }
}

fn write_long(out: &mut Vec<u8>, n: u64) {
    if n >= LIMIT {
        write(out, n / LIMIT);
        out.extend_from_slice(&(split(n % LIMIT) | ZEROS).to_le_bytes());
        return;
    }
    let digits = split(n);
    let needless = (digits.trailing_zeros() / 8).min(7);
    let length = out.len() + 8 - needless as usize;
    // Of fixed length, so that it is a move and not a call.
    out.extend_from_slice(&((digits | ZEROS) >> (8 * needless)).to_le_bytes());
    out.truncate(length);
}

/// Writes any number.
#[inline]
pub(super) fn write_signed(out: &mut Vec<u8>, n: i64) {
    if n < 0 {
        out.push(b'-');
    }
    write(out, n.unsigned_abs());
}

/// The eight digits of a number, the highest one in the lowest byte.
fn split(n: u64) -> u64 {
    let halves = (n / 10_000) | ((n % 10_000) << 32);
    // Division by multiplication, exact for numbers that are this small.
    let high = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let quarters = high | (halves - 100 * high) << 16;
    let high = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    high | (quarters - 10 * high) << 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(n: i64) -> String {
        let mut out = b"[".to_vec();
        write_signed(&mut out, n);
        String::from_utf8(out).expect("digits")
    }

    #[test]
    fn every_number_of_five_digits_is_written_and_read() {
        for n in 0..100_000u64 {
            assert_eq!(written(n as i64), format!("[{n}"));
            let mut bytes = [b','; 8];
            let text = n.to_string();
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            assert_eq!(read(bytes), (text.len(), n));
        }
    }

    proptest! {
        #[test]
        fn any_number_is_written(n in any::<i64>(), bits in 0..64) {
            prop_assert_eq!(written(n >> bits), format!("[{}", n >> bits));
        }

        #[test]
        fn digits_end_at_the_first_byte_that_is_none(bytes in any::<[u8; 8]>(), digits in 0usize..=8) {
            let mut bytes = bytes;
            bytes[..digits].iter_mut().for_each(|b| *b = b'0' + *b % 10);
            let count = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
            let text = std::str::from_utf8(&bytes[..count]).expect("digits");
            prop_assert_eq!(read(bytes), (count, text.parse().unwrap_or(0)));
        }
    }
}
