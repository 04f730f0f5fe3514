//! Access lists: who may do what with a node.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest, Sha1};

use super::code::Code;

/// Bits of what an access list can permit.
pub(super) mod perms {
    pub(in crate::registry) const READ: i32 = 1;
    pub(in crate::registry) const WRITE: i32 = 2;
    pub(in crate::registry) const CREATE: i32 = 4;
    pub(in crate::registry) const DELETE: i32 = 8;
    pub(in crate::registry) const ADMIN: i32 = 16;
    pub(in crate::registry) const ALL: i32 = 31;
}

/// Someone, as a scheme knows them: `world:anyone`, `ip:127.0.0.1`, `digest:ann:hash`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id {
    pub(super) scheme: String,
    pub(super) id: String,
}

impl Id {
    pub(super) fn new(scheme: &str, id: impl Into<String>) -> Self {
        Self { scheme: scheme.to_owned(), id: id.into() }
    }
}

/// What someone may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Acl {
    pub(super) perms: i32,
    pub(super) id: Id,
}

/// An access list. Nearly all nodes share the open one.
pub(super) type AclList = Arc<[Acl]>;

/// Everybody may do everything.
pub(super) fn open() -> AclList {
    static OPEN: LazyLock<AclList> = LazyLock::new(|| for_anyone(perms::ALL));
    OPEN.clone()
}

/// Everybody may read.
pub(super) fn read_only() -> AclList {
    for_anyone(perms::READ)
}

fn for_anyone(perms: i32) -> AclList {
    Arc::new([Acl { perms, id: Id::new("world", "anyone") }])
}

/// Shares the open list, so that a node does not carry its own copy of it.
pub(super) fn shared(list: Vec<Acl>) -> AclList {
    let open = open();
    if *list == *open { open } else { list.into() }
}

/// Bytes that a list makes its node hold.
pub(super) fn size(list: &AclList) -> usize {
    if Arc::ptr_eq(list, &open()) {
        return 0;
    }
    list.iter().map(|acl| size_of::<Acl>() + acl.id.scheme.len() + acl.id.id.len()).sum()
}

/// Who a connection is: its address, and what it proved since.
#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    ids: Vec<Id>,
}

/// A client proves itself a few times, not for ever.
const IDS_MAX: usize = 64;

impl Who {
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { ids: vec![Id::new("ip", address.ip().to_string())] }
    }

    pub(super) fn ids(&self) -> &[Id] {
        &self.ids
    }

    /// Takes a proof of identity, or says that it is none.
    pub(super) fn authenticate(&mut self, scheme: &str, proof: &[u8]) -> Result<(), Code> {
        let id = match scheme {
            // The address is known since the connection came.
            "ip" => return Ok(()),
            "digest" => Id::new("digest", digest(&String::from_utf8_lossy(proof))),
            _ => return Err(Code::AuthFailed),
        };
        if !self.ids.contains(&id) {
            if self.ids.len() >= IDS_MAX {
                return Err(Code::AuthFailed);
            }
            self.ids.push(id);
        }
        Ok(())
    }

    /// Whether one of the permissions in `wanted` is given by the list.
    pub(super) fn check(&self, list: &[Acl], wanted: i32) -> Result<(), Code> {
        let given = list.is_empty() || list.iter().any(|acl| acl.perms & wanted != 0 && self.is(&acl.id));
        if given { Ok(()) } else { Err(Code::NoAuth) }
    }

    fn is(&self, id: &Id) -> bool {
        match id.scheme.as_str() {
            "world" => id.id == "anyone",
            "ip" => self.ids.iter().any(|own| own.scheme == "ip" && network_has(&id.id, &own.id)),
            "digest" => self.ids.contains(id),
            _ => false,
        }
    }

    /// The list as it is kept: `auth` becomes whoever the client proved to be, what stands twice stands once.
    pub(super) fn resolve(&self, asked: Vec<Acl>) -> Result<Vec<Acl>, Code> {
        let mut list: Vec<Acl> = Vec::with_capacity(asked.len());
        let mut seen = HashSet::with_capacity(asked.len());
        for acl in asked.iter().filter(|acl| seen.insert(*acl)) {
            self.resolve_one(acl, &mut list)?;
        }
        if list.is_empty() { Err(Code::InvalidAcl) } else { Ok(list) }
    }

    fn resolve_one(&self, acl: &Acl, list: &mut Vec<Acl>) -> Result<(), Code> {
        let before = list.len();
        match acl.id.scheme.as_str() {
            "world" if acl.id.id == "anyone" => list.push(acl.clone()),
            "ip" if Network::parse(&acl.id.id).is_some() => list.push(acl.clone()),
            "digest" if acl.id.id.split(':').count() == 2 => list.push(acl.clone()),
            "auth" => list.extend(self.proven().map(|id| Acl { perms: acl.perms, id: id.clone() })),
            _ => {}
        }
        if list.len() == before { Err(Code::InvalidAcl) } else { Ok(()) }
    }

    /// An address is no proof.
    fn proven(&self) -> impl Iterator<Item = &Id> {
        self.ids.iter().filter(|id| id.scheme != "ip")
    }
}

/// A list as shown to someone without `ADMIN`: the hashes of passwords are hidden.
pub(super) fn masked(list: &[Acl]) -> Vec<Acl> {
    let mut list = list.to_vec();
    for acl in list.iter_mut().filter(|acl| acl.id.scheme == "digest") {
        if let Some(colon) = acl.id.id.find(':') {
            acl.id.id.replace_range(colon.., ":x");
        }
    }
    list
}

/// `name:password` becomes `name:base64(sha1(name:password))`.
fn digest(name_and_password: &str) -> String {
    let name = name_and_password.split(':').next().unwrap_or_default();
    format!("{name}:{}", BASE64.encode(Sha1::digest(name_and_password)))
}

/// `10.1.0.0/16`; without a number of bits, one address.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok())?;
        (bits <= all).then_some(Self { address, bits })
    }

    fn has(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same_head(own.to_bits().into(), other.to_bits().into(), 32 - self.bits),
            (IpAddr::V6(own), IpAddr::V6(other)) => same_head(own.to_bits(), other.to_bits(), 128 - self.bits),
            _ => false,
        }
    }
}

fn same_head(one: u128, other: u128, tail_bits: u32) -> bool {
    // A shift by all 128 bits leaves nothing to compare.
    (one ^ other).checked_shr(tail_bits).unwrap_or(0) == 0
}

fn network_has(network: &str, address: &str) -> bool {
    match (Network::parse(network), address.parse()) {
        (Some(network), Ok(address)) => network.has(address),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
        Acl { perms, id: Id::new(scheme, id) }
    }

    fn ann() -> Who {
        let mut who = Who::at("127.0.0.1:1".parse().unwrap());
        who.authenticate("digest", b"ann:secret").unwrap();
        who
    }

    #[test]
    fn digests_are_those_of_the_original() {
        assert_eq!(digest("super:test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    }

    #[test]
    fn permissions_follow_the_proof() {
        let list = ann().resolve(vec![acl(perms::ALL, "auth", ""), acl(perms::READ, "world", "anyone")]).unwrap();
        assert_eq!(list[0].id, ann().ids()[1]);
        let stranger = Who::at("127.0.0.1:1".parse().unwrap());
        assert_eq!(ann().check(&list, perms::WRITE), Ok(()));
        assert_eq!(stranger.check(&list, perms::READ), Ok(()));
        assert_eq!(stranger.check(&list, perms::WRITE), Err(Code::NoAuth));
    }

    #[test]
    fn addresses() {
        let who = Who::at("10.1.2.3:1".parse().unwrap());
        assert_eq!(who.check(&[acl(1, "ip", "10.1.2.3")], 1), Ok(()));
        assert_eq!(who.check(&[acl(1, "ip", "10.1.0.0/16")], 1), Ok(()));
        assert_eq!(who.check(&[acl(1, "ip", "0.0.0.0/0")], 1), Ok(()));
        assert_eq!(who.check(&[acl(1, "ip", "10.1.2.4/32")], 1), Err(Code::NoAuth));
        assert_eq!(who.check(&[acl(1, "ip", "::/0")], 1), Err(Code::NoAuth));
    }

    #[test]
    fn lists_that_name_nobody_are_invalid() {
        let who = Who::at("127.0.0.1:1".parse().unwrap());
        for bad in [
            vec![],
            vec![acl(31, "auth", "")],
            vec![acl(31, "world", "some")],
            vec![acl(31, "digest", "ann")],
            vec![acl(31, "ip", "10.0.0.0/33")],
            vec![acl(31, "nobody", "x")],
            vec![acl(31, "world", "anyone"), acl(31, "nobody", "x")],
        ] {
            assert_eq!(who.resolve(bad.clone()), Err(Code::InvalidAcl), "{bad:?}");
        }
    }

    #[test]
    fn twins_stand_once_and_hashes_are_hidden() {
        let twice = vec![acl(31, "digest", "ann:hash"), acl(31, "digest", "ann:hash")];
        let list = ann().resolve(twice).unwrap();
        assert_eq!(masked(&list), [acl(31, "digest", "ann:x")]);
    }

    #[test]
    fn a_client_does_not_collect_identities_for_ever() {
        let mut who = ann();
        let taken = (0..1000).filter(|nth| who.authenticate("digest", format!("n{nth}:p").as_bytes()).is_ok()).count();
        assert!(taken < IDS_MAX);
        assert_eq!(who.authenticate("kerberos", b"x"), Err(Code::AuthFailed));
    }
}
