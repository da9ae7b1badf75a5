//! FNV-1a: a hash that is the same in every process and version. Queues, locks and seeds outlive both.

/// Where a hash begins.
pub const START: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on with a hash over further bytes.
pub fn hash(start: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::{START, hash};

    #[test]
    fn hashes_are_those_of_the_definition() {
        // The offset basis, "a" and "foobar" as the authors' test vectors have them.
        assert_eq!(hash(START, []), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(START, *b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(START, *b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(hash(hash(START, *b"foo"), *b"bar"), hash(START, *b"foobar"));
    }
}
