//! Keys in a fixed width: short ones as they are, long ones by their place in a pool.

/// Longest key that is kept in place.
const SHORT_MAX: usize = 23;
/// Length that stands for a key in a pool.
const POOLED: u8 = u8::MAX;

/// A key. Two short ones are equal when their bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; SHORT_MAX + 1]);

impl Key {
    /// Keeps a key; a long one goes into the pool.
    pub fn new(key: &[u8], pool: &mut Vec<u8>) -> Key {
        let mut bytes = [0; SHORT_MAX + 1];
        if key.len() > SHORT_MAX {
            let start = pool.len();
            pool.extend_from_slice(key);
            let ends = [start, pool.len()].map(|end| u64::try_from(end).unwrap_or(u64::MAX).to_le_bytes());
            for (place, byte) in bytes.iter_mut().zip(ends.as_flattened()) {
                *place = *byte;
            }
        } else if let Some(place) = bytes.get_mut(..key.len()) {
            place.copy_from_slice(key);
        }
        if let Some(length) = bytes.last_mut() {
            *length = u8::try_from(key.len()).ok().filter(|_| key.len() <= SHORT_MAX).unwrap_or(POOLED);
        }
        Key(bytes)
    }

    /// Whether it is in a pool.
    pub fn is_pooled(&self) -> bool {
        self.0.last() == Some(&POOLED)
    }

    /// Its bytes.
    pub fn bytes<'k>(&'k self, pool: &'k [u8]) -> &'k [u8] {
        if self.is_pooled() {
            let [start, end] = [0..8, 8..16].map(|part| {
                let bytes = self.0.get(part).and_then(|part| part.try_into().ok()).unwrap_or_default();
                usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX)
            });
            return pool.get(start..end).unwrap_or_default();
        }
        let length = self.0.last().copied().map_or(0, usize::from);
        self.0.get(..length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back() {
        let mut pool = Vec::new();
        let texts: Vec<String> = (0..60).map(|length| "k".repeat(length)).collect();
        let keys: Vec<Key> = texts.iter().map(|text| Key::new(text.as_bytes(), &mut pool)).collect();
        for (key, text) in keys.iter().zip(&texts) {
            assert_eq!(key.bytes(&pool), text.as_bytes());
            assert_eq!(key.is_pooled(), text.len() > SHORT_MAX);
        }
        assert_ne!(Key::new(b"a", &mut pool), Key::new(b"a\0", &mut pool));
    }
}
