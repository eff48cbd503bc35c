//! Ascending numbers in few bytes: each as its distance to the one before.

/// Puts ascending numbers behind `bytes`.
pub(super) fn pack(numbers: &[i64], bytes: &mut Vec<u8>) {
    let mut former = 0i64;
    for (at, n) in numbers.iter().enumerate() {
        // The first one may be negative; distances are not, whatever lies between.
        let mut left = match at {
            0 => (*n as u64) << 1 ^ (*n >> 63) as u64,
            _ => n.wrapping_sub(former) as u64,
        };
        former = *n;
        while left >= 0x80 {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
    }
}

/// Numbers that were packed.
pub(super) struct Packed<'a> {
    bytes: &'a [u8],
    left: usize,
    former: Option<i64>,
}

impl<'a> Packed<'a> {
    /// So many, at the beginning of `bytes`.
    pub(super) fn new(count: usize, bytes: &'a [u8]) -> Packed<'a> {
        Packed { bytes, left: count, former: None }
    }

    /// As many behind these, all of which were taken.
    pub(super) fn then(self, count: usize) -> Packed<'a> {
        Packed::new(count, self.bytes)
    }
}

impl Iterator for Packed<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        self.left = self.left.checked_sub(1)?;
        let (mut read, mut shift) = (0u64, 0);
        while let Some((byte, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            read |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let n = match self.former {
            None => (read >> 1) as i64 ^ -((read & 1) as i64),
            Some(former) => former.wrapping_add(read as i64),
        };
        self.former = Some(n);
        Some(n)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(
            near in prop::collection::vec(-100i64..100, 0..50),
            far in prop::collection::vec(any::<i64>(), 0..10),
            ends in prop::collection::vec(prop_oneof![Just(i64::MIN), Just(i64::MAX)], 0..3),
        ) {
            let mut bytes = Vec::new();
            let lists = [near, far, ends].map(|mut list| { list.sort(); list });
            let mut all = lists.concat();
            all.sort();
            lists.iter().chain([&all]).for_each(|list| pack(list, &mut bytes));
            let mut packed = Packed::new(0, &bytes);
            for list in lists.iter().chain([&all]) {
                packed = packed.then(list.len());
                prop_assert_eq!(&packed.by_ref().collect::<Vec<_>>(), list);
            }
            prop_assert!(packed.bytes.is_empty());
        }
    }
}
