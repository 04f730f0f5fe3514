//! Where Marathon's masters are, and what they are told about us.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;

use super::MarathonConfigError;
use super::discovery::Discovery;
use crate::net::without_user;

/// Port of a master whose address names none.
pub(super) const PORT: u16 = 8080;

/// How we show who we are. Prints without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// HTTP basic.
    Basic {
        /// The user's name.
        user: String,
        /// The user's password.
        password: String,
    },
    /// `Authorization: Bearer <token>`.
    Bearer(String),
    /// `Authorization: token=<token>`, as DC/OS wants it.
    Dcos(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Basic { .. } => "Basic(..)",
            Self::Bearer(_) => "Bearer(..)",
            Self::Dcos(_) => "Dcos(..)",
        })
    }
}

impl Credentials {
    pub(super) fn add_to(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::Basic { user, password } => request.basic_auth(user, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Dcos(token) => request.header(AUTHORIZATION, format!("token={token}")),
        }
    }

    pub(super) fn can_be_sent(&self) -> bool {
        let plain = |text: &str| !text.chars().any(char::is_control);
        match self {
            Self::Basic { user, password } => plain(user) && plain(password) && !user.contains(':'),
            Self::Bearer(token) | Self::Dcos(token) => !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()),
        }
    }
}

/// One of Marathon's masters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Master {
    /// Without credentials, query and trailing slash.
    base: Url,
}

impl Master {
    /// Reads `[http[s]://][user:password@]host[:port][/path]`; gives the credentials apart.
    fn parse(text: &str) -> Option<(Self, Option<Credentials>)> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut base = Url::parse(&with_scheme).ok()?;
        let has_extras = base.query().is_some() || base.fragment().is_some();
        if !["http", "https"].contains(&base.scheme()) || has_extras || base.port() == Some(0) {
            return None;
        }
        if base.scheme() == "http" && !names_port(&with_scheme) {
            base.set_port(Some(PORT)).ok()?;
        }
        let credentials = user_of(&base);
        base.set_username("").and_then(|()| base.set_password(None)).ok()?;
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Some((Self { base }, credentials))
    }

    /// The one at an address.
    pub(super) fn at(address: SocketAddr) -> Option<Self> {
        Self::parse(&format!("http://{address}")).map(|(master, _)| master)
    }

    /// `host:port`, as people wrote it.
    pub(super) fn name(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The URL of this path, which has to be escaped, with these parameters, which are escaped here.
    pub(super) fn url(&self, path: &str, query: &[(String, String)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    pub(super) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    fn serves(&self, url: &Url) -> bool {
        self.base.origin() == url.origin()
    }
}

/// All masters. It remembers the one that answered last.
#[derive(Debug)]
pub(super) struct Masters {
    /// Those that were named. Where there are none, they are looked up.
    named: Vec<Master>,
    discovery: Option<Discovery>,
    preferred: Mutex<Option<Master>>,
}

impl Masters {
    /// Reads addresses; an element may hold several, separated by commas. Gives credentials where an address has them.
    pub(super) fn parse(texts: &[String], name: Option<&str>) -> Result<(Self, Option<Credentials>), MarathonConfigError> {
        let (mut named, mut credentials) = (Vec::new(), None);
        for text in texts {
            for address in text.split(',').map(str::trim).filter(|address| !address.is_empty()) {
                // A password may have a comma: where there is one, nothing before the last `@` is shown.
                let shown = if text.contains('@') { without_user(text) } else { address };
                let (master, found) = Master::parse(address).ok_or_else(|| MarathonConfigError::Address(shown.to_owned()))?;
                if !named.contains(&master) {
                    named.push(master);
                }
                credentials = credentials.or(found);
            }
        }
        let discovery = name.filter(|_| named.is_empty()).map(Discovery::new).transpose()?;
        if named.is_empty() && discovery.is_none() {
            return Err(MarathonConfigError::NoMaster);
        }
        Ok((Self { named, discovery, preferred: Mutex::new(None) }, credentials))
    }

    /// All of them, beginning with the one that answered last.
    pub(super) async fn in_order(&self) -> Result<Vec<Master>, String> {
        let mut all = match &self.discovery {
            Some(discovery) => discovery.masters().await?,
            None => self.named.clone(),
        };
        let preferred = self.preferred.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = all.iter().position(|master| Some(master) == preferred.as_ref()).unwrap_or(0);
        all.rotate_left(first);
        Ok(all)
    }

    /// Whether others are there by now; asked after all failed.
    pub(super) async fn changed(&self) -> bool {
        match &self.discovery {
            Some(discovery) => discovery.changed().await,
            None => false,
        }
    }

    fn known(&self) -> Vec<Master> {
        self.discovery.as_ref().map_or_else(|| self.named.clone(), Discovery::known)
    }

    /// Remembers who answered. Somebody unknown, whom a redirect led to, is not remembered.
    pub(super) fn prefer(&self, answered: &Url) {
        if let Some(master) = self.known().into_iter().find(|master| master.serves(answered)) {
            *self.preferred.lock().unwrap_or_else(PoisonError::into_inner) = Some(master);
        }
    }

    pub(super) fn include(&self, url: &Url) -> bool {
        self.known().iter().any(|master| master.serves(url))
    }

    pub(super) fn any_https(&self) -> bool {
        self.named.iter().any(Master::is_https)
    }

    pub(super) fn names(&self) -> String {
        match &self.discovery {
            Some(discovery) => discovery.name(),
            None => self.named.iter().map(Master::name).collect::<Vec<_>>().join(","),
        }
    }
}

fn user_of(url: &Url) -> Option<Credentials> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (url.username(), url.password());
    if user.is_empty() && password.is_none() {
        return None;
    }
    Some(Credentials::Basic { user: decoded(user), password: decoded(password.unwrap_or_default()) })
}

/// Whether a URL's text has a port. The parsed one does not show `:80`, which is its scheme's own.
fn names_port(url: &str) -> bool {
    let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let host = without_user(authority);
    host.rsplit(']').next().is_some_and(|behind_brackets| behind_brackets.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<(Masters, Option<Credentials>), MarathonConfigError> {
        Masters::parse(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>(), None)
    }

    fn urls(texts: &[&str]) -> Vec<String> {
        let (masters, _) = parse(texts).unwrap();
        masters.named.iter().map(|master| master.url("/v2/info", &[]).to_string()).collect()
    }

    #[test]
    fn addresses() {
        assert_eq!(urls(&[" 10.0.0.1:8080 , b,, b "]), ["http://10.0.0.1:8080/v2/info", "http://b:8080/v2/info"]);
        assert_eq!(urls(&["http://a:80", "a:80/"]), ["http://a/v2/info"]);
        assert_eq!(
            urls(&["https://a", "https://a:8443/service/marathon/", "[::1]:3", "[::1]"]),
            [
                "https://a/v2/info",
                "https://a:8443/service/marathon/v2/info",
                "http://[::1]:3/v2/info",
                "http://[::1]:8080/v2/info"
            ]
        );
        for none in [&[][..], &[""], &[" , "]] {
            assert_eq!(parse(none).unwrap_err().to_string(), "no address of Marathon is given");
        }
        for wrong in ["zk://h:1", "h:x", "h:0", "h:70000", "h?x=1", "h#x", "ftp://h", "://", "h h"] {
            let text = format!("Marathon address `{wrong}` does not read as `[http[s]://]<host>[:<port>]`");
            assert_eq!(parse(&[wrong]).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn credentials_are_taken_out_and_never_shown() {
        let (masters, credentials) = parse(&["http://op:s3%40cret@h:1/x"]).unwrap();
        let user = Credentials::Basic { user: "op".to_owned(), password: "s3@cret".to_owned() };
        assert_eq!(credentials.as_ref(), Some(&user));
        let shown = format!("{masters:?} {credentials:?} {} {}", masters.names(), masters.named[0].url("/a", &[]));
        assert!(!shown.contains("cret") && !shown.contains("op:"), "{shown}");
        for wrong in ["http://op:s3cret@h:x", "http://op:se,cret@h:1", "op:s3cret@h:1,b:x"] {
            let error = parse(&[wrong]).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("cret") && !shown.contains("op:"), "{shown}");
        }
    }

    #[test]
    fn credentials_that_no_header_carries() {
        let basic = |user: &str, password: &str| Credentials::Basic { user: user.to_owned(), password: password.to_owned() };
        for good in [basic("a", "b:c"), basic("", ""), Credentials::Bearer("a.b=".to_owned())] {
            assert!(good.can_be_sent());
        }
        for bad in [basic("a:b", ""), basic("a", "b\nc"), Credentials::Bearer(String::new()), Credentials::Dcos("a b".to_owned())]
        {
            assert!(!bad.can_be_sent());
        }
    }

    #[test]
    fn parameters_are_escaped() {
        let (masters, _) = parse(&["h"]).unwrap();
        let query = [("label".to_owned(), "a in (b, c)&x=#".to_owned()), ("cmd".to_owned(), String::new())];
        let url = masters.named[0].url("/v2/apps/a%2Fb", &query);
        assert_eq!(url.as_str(), "http://h:8080/v2/apps/a%2Fb?label=a+in+%28b%2C+c%29%26x%3D%23&cmd=");
    }

    #[tokio::test]
    async fn the_one_that_answered_is_asked_first() {
        let (masters, _) = parse(&["a,b,c"]).unwrap();
        let order = async || masters.in_order().await.unwrap().iter().map(Master::name).collect::<Vec<_>>();
        masters.prefer(&Url::parse("http://b:8080/v2/apps?x").unwrap());
        assert_eq!(order().await, ["b:8080", "c:8080", "a:8080"]);
        masters.prefer(&Url::parse("http://elsewhere:8080/").unwrap());
        assert_eq!(order().await, ["b:8080", "c:8080", "a:8080"]);
    }
}
