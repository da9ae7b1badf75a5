//! The links by which customers answer: who holds one may see one revision of one statement, and confirm or dispute it, until
//! a time. Nothing of a link is stored. Pure.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tongbao_model::Month;

/// What is signed begins with this, so that no other signature of the same secret passes for one of these.
const PURPOSE: &str = "tongbao-statement-link-1";
/// Longest token that is looked at: a customer's code of 190 characters fits.
const TOKEN_BYTES_MAX: usize = 1_600;

/// A secret that signs links, under the name that they carry.
#[derive(Debug, Clone)]
pub struct LinkKey {
    /// Its name: letters, digits and hyphens.
    pub id: String,
    /// The secret.
    pub secret: SecretString,
}

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Code of the customer.
    pub customer: String,
    /// The month.
    pub month: Month,
    /// Revision of the statement.
    pub revision: i64,
    /// Until when it is good, in seconds since 1970 UTC.
    pub expires_s: i64,
}

/// Why a link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Nobody here made it, or not with a secret that is still known.
    Forged,
    /// Its time is over.
    Expired,
}

/// The part of an address that stands for a link: key, content and signature.
pub fn token(link: &Link, key: &LinkKey) -> String {
    let content = content(link);
    let mac = signed(&key.id, &content, key).map(|mac| mac.finalize().into_bytes());
    let mac = mac.map(|mac| URL_SAFE_NO_PAD.encode(mac)).unwrap_or_default();
    format!("{}.{}.{mac}", key.id, URL_SAFE_NO_PAD.encode(content))
}

/// Reads a token. The signature is compared in constant time, and before anything else of it is believed.
///
/// # Errors
/// It is forged, or its time is over.
pub fn read(token: &str, keys: &[LinkKey], now_ms: i64) -> Result<Link, Refused> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Refused::Forged);
    }
    let mut parts = token.splitn(3, '.');
    let (Some(id), Some(content), Some(mac)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Refused::Forged);
    };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Forged);
    let (content, mac) = (decode(content)?, decode(mac)?);
    let content = String::from_utf8(content).map_err(|_| Refused::Forged)?;
    let key = keys.iter().find(|key| key.id == id).ok_or(Refused::Forged)?;
    let expected = signed(id, &content, key).ok_or(Refused::Forged)?;
    expected.verify_slice(&mac).map_err(|_| Refused::Forged)?;
    let link = parsed(&content).ok_or(Refused::Forged)?;
    if now_ms.div_euclid(1_000) >= link.expires_s { Err(Refused::Expired) } else { Ok(link) }
}

/// The customer's code last: it may hold any character.
fn content(link: &Link) -> String {
    format!("{}\n{}\n{}\n{}", link.month, link.revision, link.expires_s, link.customer)
}

fn parsed(content: &str) -> Option<Link> {
    let mut parts = content.splitn(4, '\n');
    let month = parts.next()?.parse().ok()?;
    let (revision, expires_s) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Link { customer: parts.next()?.to_owned(), month, revision, expires_s })
}

fn signed(id: &str, content: &str, key: &LinkKey) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.expose_secret().as_bytes()).ok()?;
    mac.update(format!("{PURPOSE}\n{id}\n{content}").as_bytes());
    Some(mac)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn key(id: &str, secret: &str) -> LinkKey {
        LinkKey { id: id.into(), secret: secret.to_owned().into() }
    }

    fn link(customer: &str) -> Link {
        Link { customer: customer.into(), month: "2026-10".parse().unwrap(), revision: 2, expires_s: 1_000 }
    }

    #[test]
    fn a_link_is_read_as_it_was_made_until_its_time_is_over() {
        let keys = [key("k2", "a newer secret of ours"), key("k1", "the secret before it")];
        for customer in ["C1", "客户 一/二", "a\nb\n\"<>&", &"客".repeat(190), ""] {
            for key in &keys {
                let token = token(&link(customer), key);
                assert!(
                    token.bytes().all(|one| one.is_ascii_alphanumeric() || b"-_.".contains(&one)),
                    "{token}"
                );
                assert_eq!(read(&token, &keys, 999_999), Ok(link(customer)), "{customer}");
                assert_eq!(read(&token, &keys, 1_000_000), Err(Refused::Expired), "{customer}");
            }
        }
    }

    #[test]
    fn whatever_is_changed_is_forged() {
        let keys = [key("k1", "the secret of this test")];
        let good = token(&link("C1"), &keys[0]);
        let (others, twins) = (
            [key("k1", "another secret altogether")],
            [key("k2", "the secret of this test"), key("k1", "the secret of this test")],
        );
        assert_eq!(read(&good, &others, 0), Err(Refused::Forged), "the secret was changed");
        assert_eq!(
            read(&good.replacen("k1", "k2", 1), &twins, 0),
            Err(Refused::Forged),
            "the key's name is signed"
        );
        // Any other character in any place, and any end that is missing.
        for at in 0..good.len() {
            let other = if &good[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &good[..at], &good[at + 1..]);
            let read_back = read(&changed, &keys, 0);
            assert!(matches!(read_back, Err(Refused::Forged)), "{at}: {read_back:?}");
            assert_eq!(read(&good[..at], &keys, 0), Err(Refused::Forged), "{at}");
        }
        for token in ["", ".", "..", "k1..", "k1.QQ.QQ", &"a".repeat(5_000)] {
            assert_eq!(read(token, &keys, 0), Err(Refused::Forged), "{token}");
        }
    }
}
