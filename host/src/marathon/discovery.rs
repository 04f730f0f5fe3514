//! Masters that a name leads to, as Mesos-DNS tells them: one address for each master of Mesos, with a Marathon on each.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout};

use super::MarathonConfigError;
use super::masters::{Master, PORT};

/// Masters come and go seldom; a call that nobody answers looks anew at once.
const FRESH: Duration = Duration::from_secs(60);
/// A name server that is there answers at once.
const LOOKUP: Duration = Duration::from_secs(5);
/// A name that leads to more is not that of a few masters.
const MASTERS: usize = 16;

type Lookup = Box<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// A name that is looked up again and again.
pub(super) struct Discovery {
    host: String,
    port: u16,
    lookup: Lookup,
    /// How long an answer is good for.
    fresh: Duration,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    masters: Vec<Master>,
    at: Option<Instant>,
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.name())
    }
}

impl Discovery {
    /// Reads `<name>[:<port>]`.
    pub(super) fn new(text: &str) -> Result<Self, MarathonConfigError> {
        Self::with_lookup(
            text,
            Box::new(|host, port| async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }.boxed()),
        )
    }

    fn with_lookup(text: &str, lookup: Lookup) -> Result<Self, MarathonConfigError> {
        let wrong = || MarathonConfigError::Name(text.to_owned());
        let (host, port) = match text.trim().rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?),
            None => (text.trim(), PORT),
        };
        let is_name = !host.is_empty() && host.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter));
        if !is_name {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port, lookup, fresh: FRESH, found: Mutex::default() })
    }

    /// `<name>:<port>`.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The masters as they were found last.
    pub(super) fn known(&self) -> Vec<Master> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).masters.clone()
    }

    /// The masters, looked up where that was long ago or never. An old answer is better than none.
    pub(super) async fn masters(&self) -> Result<Vec<Master>, String> {
        let found = {
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.at.filter(|at| at.elapsed() < self.fresh).map(|_| found.masters.clone())
        };
        match found {
            Some(masters) => Ok(masters),
            None => self.look().await.or_else(|why| Some(self.known()).filter(|known| !known.is_empty()).ok_or(why)),
        }
    }

    /// Looks again; says whether others than before are there.
    pub(super) async fn changed(&self) -> bool {
        let before = self.known();
        self.look().await.is_ok_and(|now| now.iter().any(|master| !before.contains(master)))
    }

    async fn look(&self) -> Result<Vec<Master>, String> {
        let nowhere = |why: &str| format!("`{}` leads to no Marathon: {why}; set --marathon", self.name());
        let answer = timeout(LOOKUP, (self.lookup)(self.host.clone(), self.port)).await;
        let addresses = match answer {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => return Err(nowhere(&crate::net::reason(&error))),
            Err(_) => return Err(nowhere("the name servers do not answer")),
        };
        let mut masters: Vec<Master> = Vec::new();
        for master in addresses.into_iter().take(MASTERS).filter_map(Master::at) {
            if !masters.contains(&master) {
                masters.push(master);
            }
        }
        if masters.is_empty() {
            return Err(nowhere("the name has no address"));
        }
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Found { masters: masters.clone(), at: Some(Instant::now()) };
        Ok(masters)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Answers with one list after the other; an empty one is a failure.
    fn discovery(answers: &[&[&str]]) -> Discovery {
        let read = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let answers: Mutex<VecDeque<Vec<SocketAddr>>> = Mutex::new(answers.iter().map(read).collect());
        let lookup = move |_, _| {
            let answer = answers.lock().unwrap().pop_front().filter(|found| !found.is_empty());
            async move { answer.ok_or_else(|| io::Error::other("Name or service not known")) }.boxed()
        };
        Discovery::with_lookup("master.mesos", Box::new(lookup)).unwrap()
    }

    fn names(masters: &[Master]) -> Vec<String> {
        masters.iter().map(Master::name).collect()
    }

    #[test]
    fn names_and_ports() {
        assert_eq!(Discovery::new("master.mesos").unwrap().name(), "master.mesos:8080");
        assert_eq!(Discovery::new(" m:1 ").unwrap().name(), "m:1");
        for wrong in ["", ":1", "a:0", "a:x", "a b", "http://a", "a/b", "a:70000", "é"] {
            let error = Discovery::new(wrong).unwrap_err().to_string();
            assert!(error.contains("does not read as `<name>[:<port>]`"), "{wrong}: {error}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_a_while_and_an_old_one_is_better_than_none() {
        let mut discovery = discovery(&[&["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.1:8080"], &[], &["10.0.0.3:8080"]]);
        for _ in 0..2 {
            assert_eq!(names(&discovery.masters().await.unwrap()), ["10.0.0.1:8080", "10.0.0.2:8080"]);
        }
        discovery.fresh = Duration::ZERO;
        assert_eq!(discovery.masters().await.unwrap().len(), 2, "the second lookup fails");
        assert_eq!(names(&discovery.masters().await.unwrap()), ["10.0.0.3:8080"], "and so the next call looks again");
    }

    #[tokio::test]
    async fn a_name_that_leads_nowhere_is_told_and_looked_up_again() {
        let discovery = discovery(&[&[], &["10.0.0.1:8080"], &["10.0.0.1:8080"], &["10.0.0.9:8080"]]);
        let why = discovery.masters().await.unwrap_err();
        assert_eq!(why, "`master.mesos:8080` leads to no Marathon: name or service not known; set --marathon");
        assert_eq!(discovery.masters().await.unwrap().len(), 1);
        assert!(!discovery.changed().await, "the same one");
        assert!(discovery.changed().await && names(&discovery.known()) == ["10.0.0.9:8080"]);
    }
}
