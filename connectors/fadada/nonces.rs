//! Nonces of callbacks, so many of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// No more are remembered, whatever the settings say.
const MOST: usize = 1_000_000;

/// The nonces that came last, each with what it was signed under.
pub struct Nonces {
    most: usize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    signatures: HashMap<String, String>,
    order: VecDeque<String>,
}

impl Nonces {
    /// A memory of so many.
    pub fn new(most: u64) -> Nonces {
        Nonces { most: usize::try_from(most).unwrap_or(MOST).min(MOST), seen: Mutex::default() }
    }

    /// Whether a nonce of a valid request may be taken: it is new, or it is the same request again. The same request is a
    /// repeat, which acceptance sorts out; refusing it would lose the news of which the first try was not kept.
    pub fn admit(&self, nonce: &str, signature: &str) -> bool {
        if self.most == 0 {
            return true;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = seen.signatures.get(nonce) {
            return first == signature;
        }
        if seen.order.len() >= self.most
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.signatures.remove(&oldest);
        }
        seen.signatures.insert(nonce.to_owned(), signature.to_owned());
        seen.order.push_back(nonce.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_serves_one_request_as_long_as_it_is_remembered() {
        let nonces = Nonces::new(2);
        for (nonce, signature, taken) in [
            ("a", "1", true),
            ("a", "1", true),
            ("a", "2", false),
            ("b", "1", true),
            ("c", "1", true),
            ("b", "2", false),
            ("a", "2", true),
            ("b", "2", true),
        ] {
            assert_eq!(nonces.admit(nonce, signature), taken, "{nonce} {signature}");
        }
        assert_eq!(nonces.seen.lock().unwrap().signatures.len(), 2);
        let none = Nonces::new(0);
        assert!(none.admit("a", "1") && none.admit("a", "2"));
    }
}
