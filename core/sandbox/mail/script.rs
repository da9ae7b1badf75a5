//! How a scripted fault shows in a conversation of lines.

use std::time::Duration;

use crate::faults::Fault;

/// What goes over the wire in place of a plain reply.
pub(super) struct Played {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the connection ends behind them.
    pub ends: bool,
    /// Pause before each of sixteen pieces.
    pub drip: Option<Duration>,
    /// Pause before the first byte.
    pub wait: Option<Duration>,
}

/// Mebibytes of blanks in a line that no client may read.
const BLANKS: usize = 33;
/// What a broken middlebox sends.
const GARBAGE: &[u8] = b"\x00\xff\xfe{\"\x80\x1b[2J\xc3\x28<?\xf0\x28\x8c\xbc]]>\x00\x01\x02\r\n";

impl Played {
    /// A reply, and whether the connection ends with it: a server that says 421 hangs up.
    pub fn plain(reply: &str) -> Played {
        let bytes = format!("{reply}\r\n").into_bytes();
        Played { bytes, ends: reply.starts_with("421") || reply.starts_with("221"), drip: None, wait: None }
    }

    fn last(bytes: &[u8]) -> Played {
        Played { bytes: bytes.to_vec(), ends: true, drip: None, wait: None }
    }
}

/// Plays a fault over the step that `work` takes; without one, its reply.
pub(super) fn play(fault: Option<&Fault>, longest: Duration, work: impl FnOnce() -> String) -> Played {
    let wait = |ms: u64| Some(Duration::from_millis(ms).min(longest));
    match fault {
        None => Played::plain(&work()),
        Some(Fault::LostBeforeCommit) => Played::last(b""),
        Some(Fault::LostAnswerAfterCommit) => {
            let _ = work();
            Played::last(b"")
        }
        Some(Fault::ResetMidBody) => {
            let reply = work();
            Played::last(reply.as_bytes().get(..reply.len() / 2).unwrap_or_default())
        }
        // The line has an end, the reply has none.
        Some(Fault::TruncatedJson) => {
            Played::last(format!("{}\r\n", work().replacen(' ', "-", 1)).as_bytes())
        }
        Some(Fault::Garbage) => {
            let _ = work();
            Played { bytes: GARBAGE.to_vec(), ..Played::plain("") }
        }
        Some(Fault::Drip { ms }) => Played { drip: wait(*ms), ..Played::plain(&work()) },
        Some(Fault::Slow { ms, .. }) => Played { wait: wait(*ms), ..Played::plain(&work()) },
        Some(Fault::Throttled { .. }) => Played::plain("450 4.7.1 too many messages, slow down"),
        Some(Fault::BadCharset) => {
            let _ = work();
            // "Queued", in the code page of a Chinese Windows.
            Played { bytes: b"250 2.0.0 \xd2\xd1\xca\xd5\xcf\xc2\r\n".to_vec(), ..Played::plain("") }
        }
        Some(Fault::Oversize) => {
            let reply = work();
            let mut bytes = vec![b' '; BLANKS << 20];
            bytes.splice(..0, reply.into_bytes());
            Played { bytes, ..Played::plain("") }
        }
        // A proxy in the way that takes us for a browser.
        Some(Fault::Http { status, after_commit, .. }) => {
            if *after_commit {
                let _ = work();
            }
            Played::last(format!("HTTP/1.1 {status} Error\r\n\r\n<html></html>\r\n").as_bytes())
        }
        Some(Fault::Answer { status, body, after_commit, .. }) => {
            if *after_commit {
                let _ = work();
            }
            // 200 is no reply of this protocol: the body stands there as it is.
            Played::plain(&if *status == 200 { body.clone() } else { format!("{status} {body}") })
        }
        Some(_) => Played::plain(&work()),
    }
}
